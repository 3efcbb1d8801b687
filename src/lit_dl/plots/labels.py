"""Names in pictures: of classes, layers and runs, whatever they are called."""

from lit_dl.records import shortened, visible


def as_label(name: str, most: int = 40) -> str:
    r"""The name as matplotlib is to be given it, to draw it as it reads.

    Without a dollar sign that it would take for the beginning of a formula, or an underscore at the front, for which it
    leaves a name out of a legend; and of ``most`` characters, as room in a picture is short.

    Example:
        >>> as_label("$x_{y}^$"), as_label("_hidden")
        ('\\$x_{y}^\\$', ' _hidden')
    """
    text = shortened(visible(name), most).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
