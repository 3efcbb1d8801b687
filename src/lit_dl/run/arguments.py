"""Whether the values of a config fit the arguments of the class that it names, by that class's own annotations.

Classes of torch and Lightning take a wrong value as it comes and fail at the first step, in words of their own.
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lit_dl.errors import is_number, is_whole

OWN = ("lit_dl.data", "lit_dl.models", "lit_dl.descent")  # whose classes say more of each argument by themselves
PLAIN = (bool, int, float, str, list, dict, NoneType)  # what a config can hold; anything else was made from a node
KINDS: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (is_whole, "a whole number"),
    float: (is_number, "a number"),
    str: (lambda value: isinstance(value, str), "text"),
    Path: (lambda value: isinstance(value, str), "a path"),
    NoneType: (lambda value: value is None, "null"),
}
"""Of each kind of plain value: whether a value is one, and what it is called."""
LISTS = (list, tuple, Sequence, Iterable)
DICTS = (dict, Mapping)


def check_arguments(recipe: Callable[..., Any], later: Collection[str] = ()) -> None:
    """Check the arguments that a recipe has bound.

    Args:
        recipe: a class or function, or a ``partial`` of one.
        later: arguments that its caller gives, whatever is bound.

    Raises:
        ValueError: for an argument that is not known, or a value of the wrong kind; it says what it can be.
    """
    if not isinstance(recipe, partial) or getattr(recipe.func, "__module__", "").startswith(OWN):
        return
    known, takes_any = _annotations(recipe.func)
    for name, value in recipe.keywords.items():
        if name in later:
            continue
        if name not in known and not takes_any:
            raise ValueError(
                f"{name} is {value!r}, but {_name(recipe.func)} takes no such argument; it takes {', '.join(known)}"
            )
        kind = known.get(name, Any)
        if not _fits(value, kind):
            raise ValueError(f"{name} is {value!r}; it must be {_one_of(_words(kind))}")


def _annotations(function: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """The kind of each argument, and whether others are taken too, or may be, where the arguments cannot be known."""
    try:
        parameters = inspect.signature(function).parameters
        hints = get_type_hints(function.__init__ if isinstance(function, type) else function)  # type: ignore[misc]  # of a class itself
    except (TypeError, ValueError, NameError):
        return {}, True
    named = {
        name: each for name, each in parameters.items() if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    }
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return {name: hints.get(name, _kind_of_default(each)) for name, each in named.items()}, takes_any


def _kind_of_default(parameter: inspect.Parameter) -> Any:
    """The kind of an argument without annotation, by its default; True also stands for what is not known."""
    kind = type(parameter.default)
    return kind if kind in (bool, int, float, str) else Any


def _fits(value: Any, kind: Any) -> bool:
    """Whether a plain value is of a kind; of any where no annotation tells, and an object is left to the class."""
    if not _words(kind) or not isinstance(value, PLAIN):
        return True
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return any(_words(each) and _fits(value, each) for each in get_args(kind))
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in get_args(kind))
    if origin in LISTS:
        return _fits_list(value, kind)
    if origin in DICTS:
        return isinstance(value, dict) and all(_fits(each, get_args(kind)[1]) for each in value.values())
    return KINDS[kind][0](value)


def _fits_list(values: Any, kind: Any) -> bool:
    inner = get_args(kind) or (Any,)
    if not isinstance(values, list):
        return False
    if get_origin(kind) is tuple and Ellipsis not in inner:
        return len(values) == len(inner) and all(map(_fits, values, inner))
    return all(_fits(value, inner[0]) for value in values)


def _words(kind: Any) -> list[str]:
    """What a kind is called, by its parts; nothing where it is no plain value."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return [] if Any in inner else list(dict.fromkeys(word for each in inner for word in _words(each)))
    if origin is Literal:
        return [str(each) for each in inner]
    if origin in LISTS:
        words = _words(inner[0]) if inner else []
        length = f"{len(inner)} values" if origin is tuple and Ellipsis not in inner else "values"
        return [f"a list of {length}" + (f", each {' or '.join(words)}" if words else "")]
    if origin in DICTS:
        return ["a mapping such as {name: value}"]
    return [KINDS[kind][1]] if kind in KINDS else []


def _one_of(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", str(function))
