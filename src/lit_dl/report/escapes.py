"""Text of run folders as HTML, Markdown and CSV take it: as text, whatever it says."""

import html
import re

from lit_dl.records import visible

MARKS = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")  # between letters, _ marks nothing
BLOCK = re.compile(r"^(\d*)([-+=#.)])(?=[-+=#.)\s]|$)")  # what begins a list, a heading or a rule
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@＝＋－＠])")  # noqa: RUF001  # where a spreadsheet begins to compute


def in_html(text: str) -> str:
    """As text or in an attribute."""
    return html.escape(visible(text))


def in_markdown(text: str) -> str:
    r"""In a line or a cell: no HTML, no link, no mark, no further cell.

    Example:
        >>> in_markdown("train_eval/acc <b> [x](javascript:y) a|b")
        'train_eval/acc &lt;b&gt; \\[x\\](javascript:y) a\\|b'
    """
    return html.escape(MARKS.sub(r"\\\g<0>", visible(text)), quote=False)


def as_item(text: str) -> str:
    r"""An item of a list in Markdown, in which no other block begins.

    Example:
        >>> as_item("# no heading"), as_item("1. no list")
        ('- \\# no heading', '- 1\\. no list')
    """
    return "- " + BLOCK.sub(r"\1\\\2", in_markdown(text.strip()))


def in_csv(text: str) -> str:
    """A cell that no spreadsheet computes: with an apostrophe before what would be a formula (OWASP, CSV Injection).

    Some spreadsheets take a semicolon for the end of a cell, so it is asked of what follows one too. Numbers stay.

    Example:
        >>> [in_csv(text) for text in ("-0.5", "=1+1", " @SUM(A1)", "a;-b")]
        ['-0.5', "'=1+1", "' @SUM(A1)", "a;'-b"]
    """
    text = visible(text)
    return text if NUMBER.fullmatch(text) else FORMULA.sub(r"\1'", text)
