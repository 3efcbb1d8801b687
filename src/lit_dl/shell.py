"""Between lit_dl and the shell that it is called from: commands to be pasted, and text that any terminal can show."""

import codecs
import io
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

PLAIN = re.compile(r"[\w@+=:,./-]+", re.ASCII)  # means itself to sh, PowerShell and cmd.exe
IN_DOUBLE_QUOTES = re.compile(r'[^$`"\\!%\x00-\x1f]*')  # means itself to all three between double quotes
STRICT = ("strict", "surrogateescape")  # ways of a stream to fail at a character that it does not know
WITHOUT = {"±": "+-", "²": "^2", "³": "^3", "⁴": "^4", "…": "...", "·": "|"}


def quote(word: str) -> str:
    """A word of a command, as it can be pasted: into sh, PowerShell and cmd.exe alike where that can be.

    ``$``, backquotes, ``!``, ``%``, backslashes and double quotes mean something else to each of them: what has one is
    quoted for the shells of the system that this runs on.

    Example:
        >>> print(quote("seed=1,2"), quote("model.hidden=[8, 8]"))
        seed=1,2 "model.hidden=[8, 8]"
    """
    if PLAIN.fullmatch(word):
        return word
    if word and IN_DOUBLE_QUOTES.fullmatch(word):
        return f'"{word}"'
    return _quote_for_windows(word) if os.name == "nt" else shlex.quote(word)


def join(words: Sequence[str]) -> str:
    """A command that can be pasted."""
    return " ".join(map(quote, words))


def _quote_for_windows(word: str) -> str:
    """As Windows programs take their arguments apart: backslashes count twice before a double quote, and only there.

    Paths, whose backslashes are alone, stay as they are.
    """
    if re.fullmatch(r"[\w@+=:,./\\-]*[\w@+=:,./-]", word, re.ASCII):
        return word
    return '"' + re.sub(r'(\\*)("|\Z)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), word) + '"'


@contextmanager
def any_text_printable() -> Iterator[None]:
    """For a while, print what is nearest where a terminal or a file takes less than Unicode, as cp1252 and ASCII do."""
    codecs.register_error("nearest", _nearest)
    changed = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in STRICT and not stream.closed:
            changed.append((stream, stream.errors))
            stream.reconfigure(errors="nearest")
    try:
        yield
    finally:
        for stream, errors in changed:
            with suppress(ValueError):  # closed in the meantime
                stream.reconfigure(errors=errors)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(WITHOUT.get(letter, "?") for letter in error.object[error.start : error.end]), error.end
