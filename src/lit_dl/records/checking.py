"""Whether what was read has the types of a record: checked once, so that nothing behind it has to guess."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

MOST_DEPTH = 50  # lists and mappings in each other; a config has six
MOST_WHOLE = 2**63  # more is no count, and may be too large for a float
WORDS = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a mapping"}


def known_fields(content: Mapping[str, Any], kind: type, where: str = "", **other: Any) -> dict[str, Any]:
    """Of a mapping what the fields of a dataclass take, checked; the field ``unknown`` is none of the file's.

    Args:
        content: as read.
        kind: the dataclass.
        where: in the file the mapping stands, for the error.
        other: types of fields that are written as something else.

    Raises:
        ValueError: if a field without a default is missing, or one has another type.
    """
    names = {each.name: each for each in fields(kind) if each.name != "unknown"}
    for name, each in names.items():
        if name not in content and each.default is each.default_factory is MISSING:
            raise ValueError(f"{where}{name} is missing")
    types = _types(kind) | other
    return {name: checked(value, types[name], f"{where}{name}") for name, value in content.items() if name in names}


def checked(value: Any, kind: Any, where: str) -> Any:
    """The value, if it is of that kind; of a class with ``from_json``, what that makes of it.

    Args:
        value: as read.
        kind: an annotation: str, int, float, Any, a Literal (any text: a newer lit_dl may know more), a list, a dict
            with text as keys, ``X | None``, or a class with ``from_json``.
        where: in the file it stands, for the error.

    Raises:
        ValueError: if it is not.
        RecursionError: if it is nested too deeply.
    """
    origin, inside = get_origin(kind) or kind, get_args(kind)
    if origin is UnionType:
        return None if value is None else checked(value, inside[0], where)
    if origin is Any:
        return plain(value, where)
    if hasattr(origin, "from_json"):
        return origin.from_json(checked(value, dict[str, Any], where), f"{where}.")
    origin = str if origin is Literal else origin
    if not _is(value, origin):
        shown = WORDS[type(value)] if isinstance(value, list | dict) else reprlib.repr(value)
        raise ValueError(f"{where} is {shown}; it must be {WORDS[origin]}")
    if origin is list:
        if _are_floats(value, inside):
            return value
        return [checked(each, inside[0], f"{where}[{number}]") for number, each in enumerate(value)]
    if origin is dict:
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"{where} has a key that is no text")
        return {key: checked(each, inside[1], f"{where}[{reprlib.repr(key)}]") for key, each in value.items()}
    return plain(value, where)


def plain(value: Any, where: str, depth: int = MOST_DEPTH) -> Any:
    """The value, if it has no more levels than ``depth`` and no number that is too large.

    Raises:
        ValueError: for such a number.
        RecursionError: for more levels.
    """
    if isinstance(value, list | dict):
        if depth == 0:
            raise RecursionError
        for each in value if isinstance(value, list) else (*value, *value.values()):
            plain(each, where, depth - 1)
    elif isinstance(value, int) and abs(value) >= MOST_WHOLE:
        raise ValueError(f"{where} has a number of {value.bit_length()} bits")
    return value


def _is(value: Any, kind: type) -> bool:
    """Whether it is of that kind; a whole number is a number, True and False are none."""
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int) or (isinstance(value, float) and isfinite(value))
    return isinstance(value, kind)


def _are_floats(values: Sequence[Any], kind: Sequence[Any]) -> bool:
    """Whether these are floats and None, as they may be: most lists are such, and one by one takes longer."""
    if kind != (float | None,) or not set(map(type, values)) <= {float, NoneType}:
        return False
    return isfinite(sum(filter(None, values)))


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
