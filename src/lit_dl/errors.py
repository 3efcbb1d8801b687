"""What a user can get wrong, as one message: the exception, and the one set of checks of numbers."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeGuard

# What classes raise for an argument that they cannot work with; a wrong kind of value shows as any of these.
WRONG_ARGUMENT = (
    ValueError, TypeError, RuntimeError, ImportError, ArithmeticError, LookupError, AttributeError, AssertionError,
    MemoryError,
)  # fmt: skip
NO_MEMORY = "it does not fit into memory. Take less: a smaller model, a smaller data.batch_size or fewer samples"
INT_LIMIT = 2**63  # torch holds whole numbers in 64 bits


class CommandError(Exception):
    """The command asks for what cannot be had; the message says what, and the way out."""


@contextmanager
def command_errors(where: str) -> Iterator[None]:
    """Turn what goes wrong while objects are built for a command into a CommandError that begins with ``where``.

    Raises:
        CommandError: for a wrong argument, or a package that is not installed.
        OSError: for a file that is missing or cannot be read, unchanged.
    """
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (CommandError, OSError):
        raise
    except (*WRONG_ARGUMENT, MisconfigurationException) as error:
        if isinstance(error.__cause__, OSError):  # of files, not of the config: a data set's that another is made from
            raise OSError(str(error.__cause__)) from error
        told = NO_MEMORY if is_out_of_memory(error) else str(error) or type(error).__name__
        raise CommandError(f"{where}: {told}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had; torch has a class of its own for devices alone."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool({"MemoryError", "OutOfMemoryError"} & names) or "can't allocate memory" in str(error)


def how_to_install(extra: str) -> str:
    """The way to an extra of lit_dl that is not installed."""
    return f'In the folder of lit_dl\'s source: pip install -c constraints.txt -e ".[{extra}]"'


def one_line(text: object, most: int = 200) -> str:
    """What a server or a file says of itself, for a message: in one line, without control characters, and cut short."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(text))
    line = " ".join(printable.split())
    return line if len(line) <= most else f"{line[:most]}..."


def is_number(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a finite number that torch can hold (True and False are none)."""
    if is_whole(value):
        return -INT_LIMIT <= value < INT_LIMIT
    return isinstance(value, float) and math.isfinite(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether ``value`` is a whole number (True and False are none)."""
    return isinstance(value, int) and not isinstance(value, bool)


def wrong_count(value: object, least: int = 1, most: int | None = None) -> str:
    """What a whole number from ``least`` to ``most`` has to be, if ``value`` is none; else nothing."""
    if is_whole(value) and least <= value and (value < INT_LIMIT if most is None else value <= most):
        return ""
    if is_whole(value) and value >= INT_LIMIT and most is None:
        return f"it must be a whole number from {least} up, below 2**63"
    return f"it must be a whole number from {least} " + ("up" if most is None else f"to {most}")


def wrong_number(value: object, least: float, most: float = math.inf, least_included: bool = True) -> str:
    """What a number from ``least`` to ``most`` has to be, if ``value`` is none; else nothing."""
    if is_number(value) and (least < value <= most or (value == least and least_included)):
        return ""
    if not least_included:
        return f"it must be a number above {least:g}" + (f" and at most {most:g}" if most < math.inf else "")
    return f"it must be a number from {least:g} " + (f"to {most:g}" if most < math.inf else "up")


def check_count(name: str, value: object, alternative: str = "", least: int = 1, most: int | None = None) -> None:
    """Raise a ValueError unless ``value`` is a whole number of at least ``least`` and at most ``most``."""
    if wrong := wrong_count(value, least, most):
        raise ValueError(f"{name} is {value!r}; {wrong}{alternative}")


def check_number(name: str, value: object, least: float, most: float = math.inf, unit: str = "") -> None:
    """Raise a ValueError unless ``value`` is a number from ``least`` to ``most``."""
    if wrong := wrong_number(value, least, most):
        raise ValueError(f"{name} is {value!r}; {wrong}{unit}")


def check_fraction(name: str, value: object) -> None:
    """Raise a ValueError unless ``value`` is a number between 0 and 1, both excluded."""
    if not is_number(value) or not 0 < value < 1:
        raise ValueError(f"{name} is {value!r}; it must lie between 0 and 1, both excluded")


def check_path(name: str, value: object, kind: str) -> None:
    """Raise a ValueError unless ``value`` can be the name of a file or a folder, as ``kind`` says."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{name} is {value!r}; it must be the name of a {kind}")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise a ValueError unless ``value`` is one of these."""
    *others, last = choices
    if not isinstance(value, str) or value not in (*others, last):
        raise ValueError(f"{name} is {value!r}; it must be {', '.join(others)} or {last}")


def check_bool(name: str, value: object) -> None:
    """Raise a ValueError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it must be true or false")
