"""How Sphinx makes the documentation site: ``make docs``, then open ``docs/_build/index.html``.

The pages load nothing from the network.
"""

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]

project = "lit_dl"
author = "The lit_dl authors"
project_copyright = author
release = version = version_of("lit_dl")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "myst_parser"]
exclude_patterns = ["_build"]
nitpicky = False  # signatures name classes of torch and Lightning, whose pages are elsewhere

html_theme = "furo"
html_title = f"lit_dl {release}"
html_copy_source = False

myst_enable_extensions = ["html_image"]  # <img width=...> as GitHub shows it
myst_heading_anchors = 3  # links to headings, as GitHub makes them

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # Lightning's and torch's own are on their own pages
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # as they are written
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

MARKUP = re.compile(r"``.*?``|(?<!\\)[|*]|(?<=\w)_(?!\w)")  # a literal, or what is none and has a meaning to Sphinx


def as_plain_text(app: Any, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Escape what a docstring, which is plain text but for literals and examples, does not mean as markup."""
    in_example = False
    for number, line in enumerate(lines):
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if not in_example:
            lines[number] = MARKUP.sub(lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", line)


def is_hook(app: Any, what: str, name: str, thing: object, skips: bool, options: object) -> bool | None:
    """Leave out what only Lightning calls; None lets Sphinx decide."""
    return True if name.startswith("on_") else None


def with_links_inside(app: Any, page: str, source: list[str]) -> None:
    """Let links that leave ``docs`` for the repository, as GitHub needs them, stay on the site."""
    if page in ("contributing", "changelog"):
        source[0] = (REPOSITORY / f"{page.upper()}.md").read_text(encoding="utf-8").replace("](docs/", "](")
    text = source[0].replace("](CONTRIBUTING.md", "](contributing.md").replace("](CHANGELOG.md", "](changelog.md")
    for name in ("CONTRIBUTING", "CHANGELOG"):
        text = text.replace(f"](../{name}.md", f"]({name.lower()}.md")
    source[0] = text.replace("](../README.md", "](index.md")


def setup(app: Any) -> None:
    """Sphinx asks for this."""
    app.connect("autodoc-process-docstring", as_plain_text, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", is_hook)
    app.connect("source-read", with_links_inside)
