"""Reading a file of a run folder: within limits, and checked, or refused in one line that names the file.

A folder may come from a stranger or from a broken disk.
"""

import json
import reprlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from lit_dl.records.checking import MOST_DEPTH, checked, known_fields, plain

MOST_JSON = 16 * 2**20  # bytes; the curves of a run have at most 500 points and take 0.2 MB
MOST_YAML = 2**20  # bytes; a config takes 5 kB

T = TypeVar("T")


def read_json(path: Path, kind: type[T], what: str) -> T:
    """A record, a dataclass with a field ``unknown`` for the keys that this lit_dl does not know.

    Args:
        path: of the file.
        kind: the dataclass.
        what: the record's name, for the error.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no record of that kind, in one line.
    """
    with refusing(path, what):
        content = json.loads(_text(path, MOST_JSON), parse_constant=_no_constant, object_pairs_hook=_unique)
        if not isinstance(content, dict):
            raise ValueError("it is no mapping")
        content.pop("schema", None)  # 0.1.0 wrote none; there is one form so far
        known = known_fields(content, kind)
        unknown = {name: plain(value, name) for name, value in content.items() if name not in known}
        return cast(T, cast(Any, kind)(**known, unknown=unknown))


def read_yaml(path: Path, kind: type[T], what: str) -> T:
    """Plain values of YAML as Hydra writes it.

    Args:
        path: of the file.
        kind: ``list[str]``, say.
        what: its content, for the error.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is something else, in one line.
    """
    with refusing(path, what):
        return cast(T, checked(parse_yaml(_text(path, MOST_YAML)), kind, "it"))


def parse_yaml(text: str) -> Any:
    """Plain values. Refused are tags, aliases, which can multiply, and deep nesting, which crashes PyYAML's C loader.

    Raises:
        ValueError: if it is refused, or no YAML.
    """
    try:
        _check_events(text)
        return plain(yaml.load(text, Loader=_Loader), "it")
    except (OverflowError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(_reason(error)) from error


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has an alias")
        if (tag := getattr(event, "tag", None)) is not None:
            raise ValueError(f"it has the tag {reprlib.repr(tag)}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise RecursionError


@contextmanager
def refusing(path: Path, what: str) -> Iterator[None]:
    """Say of all that is wrong with a file which file it is, and what is wrong, in one line.

    Raises:
        FileNotFoundError: if there is no such file, unchanged.
        ValueError: if anything else goes wrong in the block.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, or no record of {what}: {_reason(error)}") from error


def _text(path: Path, most: int) -> str:
    """The content of a file, not of a folder, a pipe or a device, that is not larger than ``most`` bytes."""
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise ValueError("it is a link to nothing") from None
        raise
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no file")
    if status.st_size > most:
        raise ValueError(f"it is larger than {most >> 20} MB")
    return path.read_bytes().decode("utf-8")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        raise ValueError("a key stands there twice")
    return whole


def _reason(error: BaseException) -> str:
    """What is wrong, in one line; errors of YAML span several."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not in UTF-8"
    if isinstance(error, OSError):
        return str(error.strerror)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return " ".join(str(error).split())


_InC: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it


class _Loader(_InC):  # type: ignore[misc]  # as it is chosen above
    """Plain values, each key once, and timestamps as text, all as OmegaConf reads them."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's name for it
        first: [each for each in pairs if each[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys differ."""
        whole: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(whole) < len(node.value):
            raise ValueError(f"a key stands twice from line {node.start_mark.line + 1} on")
        return whole
