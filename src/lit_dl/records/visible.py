"""Text of a stranger's folder, to be shown."""

KEPT = "\u00a0\u200c\u200d"  # no-break space, and what joins letters or keeps them apart: words need them


def visible(text: str) -> str:
    r"""The text with an escape for each character that is not to be seen: controls, line ends, lone surrogates, bidi.

    So a terminal obeys nothing that stands in it, no line is broken, it can be written as UTF-8, and it reads in the
    order in which it stands (U+202E turns that round: Boucher and Anderson, Trojan Source, 2021).

    Example:
        >>> visible("a\x1b[31m\n\u202e")
        'a\\x1b[31m\\n\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in KEPT else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, most: int = 40) -> str:
    """Beginning and end of a text that is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most - most // 3 - 1]}…{text[-(most // 3) :]}"
