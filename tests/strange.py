"""What a stranger or a broken disk can make of a file or of a text."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

TEXTS = (
    "<script>alert(1)</script>", "x|y`z`", "[x](javascript:alert(1))", "=cmd|' /C calc'!A0", " @SUM(1)", "\tx", "a\nb",
    "\x1b[31mred", "\x00", "\ud800", "\u202egnp.exe", "$x_{y}^", r"$\frac$", "[red]", "[/x]", "; rm -rf /", "__", "'\"",
    "x" * 300, "-->", "&#106;", "=",
)  # fmt: skip
NUMBERS = (10**400, -(2**70), 1e308, -1e308, 5e-324, float("nan"), float("inf"))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from((*TEXTS, *NUMBERS))
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Each list or mapping in some JSON, with each of its indices or keys."""
    for key in range(len(content)) if isinstance(content, list) else list(content):
        yield content, key
        if isinstance(content[key], list | dict):
            yield from places(content[key])


@st.composite
def partly_replaced(draw: st.DrawFn, content: Any) -> Any:
    """The same JSON with something else in one or two places, or with a key more."""
    whole = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        node, key = draw(st.sampled_from(list(places(whole))))
        if isinstance(node, dict) and draw(st.booleans()):
            key = draw(st.text() | st.sampled_from(TEXTS))
        node[key] = draw(JSON)
    return whole


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


CONTENTS = {
    "empty": b"",
    "zeros": b"\0" * 100,
    "a byte that is not UTF-8": b'{"\xff": 1}',
    "UTF-16": json.dumps({"status": "completed"}).encode("utf-16"),
    "nested lists": b"[" * 100_000,
    "nested mappings": b'{"a":' * 100_000,
    "nested and closed": b"[" * 60 + b"]" * 60,
    "50 MB": b"x" * 50 * 2**20,
    "a key twice": b'{"status": "completed", "status": "failed"}',
    "a number alone": b"3",
    "a number of 5,000 digits": b"1" * 5000,
}
YAML_CONTENTS = {
    "nested blocks": b"- " * 100_000,
    "a bomb": b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n",
    "a merge bomb": b"a: &a {x: 1}\nb: &b {<<: [*a,*a]}\nc: {<<: [*b,*b]}\n",
    "a key that is a list": b"? [1, 2]\n: 3\n",
    "a tag": b"a: !!python/object/apply:os.system [x]\n",
    "a tag that does not fit": b"a: !!bool maybe\n",
    "two documents": b"a: 1\n---\nb: 2\n",
    "a control character": b"a: \x1b[31m\n",
}
REPLACEMENTS = (a_folder, a_link_to_nothing, a_link_to_itself)
