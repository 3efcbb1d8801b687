"""The files of a run folder: their names, and how they are replaced whole or not at all."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

from lit_dl.records.patience import patiently

METRICS_FILE = "metrics.json"
CURVES_FILE = "curves.json"
SWEEP_FILE = "sweep.json"
LOG_FILE = "train.log"  # as conf/hydra/job_logging has it
HYDRA_FOLDER = ".hydra"  # the composed config
CHECKPOINTS = "checkpoints"
LOCK_FILE = ".lock"  # freed by the system when its process is killed
STOP_FILE = ".stop"  # in a sweep folder: no job begins any more
LAST, BEST = "last", "best"  # names of the checkpoints, less .ckpt

T = TypeVar("T")


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    """A new file to write beside ``path``, which takes its place when the block ends well and vanishes otherwise.

    Args:
        path: of the file.
        durable: let the content reach the disk before the name does, so that it outlives a power cut too.

    Raises:
        OSError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        if durable:
            with part.open("rb+") as file:  # Windows writes to the disk only what is open for writing
                os.fsync(file.fileno())
        patiently(lambda: os.replace(part, path))
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what a killed process had not finished writing in a run folder, which this process holds."""
    for place in (folder, folder / HYDRA_FOLDER, folder / CHECKPOINTS):
        for part in place.glob(".*.part"):
            with suppress(OSError):
                part.unlink()


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write a file atomically: readers see the old content or the new one, never a part.

    Raises:
        OSError: if it cannot be written.
    """
    with replacing(path, durable) as part:
        part.write_text(text, encoding="utf-8", newline="")  # the same bytes on every machine


def write_json(path: Path, schema: int, content: dict[str, Any], unknown: dict[str, Any], indent: int | None) -> None:
    """Write a record atomically, with the number of its schema, and with None for what is not a finite number.

    Args:
        path: of the file.
        schema: version of the file's form.
        content: its keys and values.
        unknown: keys that a newer lit_dl wrote there; they are kept.
        indent: spaces of a level; None for one long line.

    Raises:
        OSError: if it cannot be written.
    """
    whole = {"schema": schema, **content, **unknown}
    write_text(path, json.dumps(_finite(whole), indent=indent, allow_nan=False) + "\n")


def read_json(path: Path, kind: type[T], what: str) -> T:
    """A record, a dataclass with a field ``unknown`` for the keys that this lit_dl does not know.

    Args:
        path: of the file.
        kind: the dataclass.
        what: the record's name, for the error.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no record of that kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("schema", None)  # 0.1.0 wrote none; there is one form so far
        names = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # it is a dataclass
        known = {name: value for name, value in content.items() if name in names}
        _check_types(known, names)
        known["unknown"] = {name: value for name, value in content.items() if name not in names}
        return kind(**known)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{path} is damaged, or no record of {what}") from error


def last_checkpoint(folder: Path) -> Path:
    """Where a run folder has the state after its last whole epoch."""
    return folder / CHECKPOINTS / f"{LAST}.ckpt"


def _check_types(values: dict[str, Any], names: "dict[str, Field[Any]]") -> None:
    """Whether lists are lists and mappings mappings; a field without a default is what the file cannot do without."""
    for name, value in values.items():
        default = names[name].default_factory
        if default is not MISSING and not isinstance(value, type(default())):
            raise TypeError(name)


def _finite(content: Any) -> Any:
    """The same with None for each number that is not finite, which JSON does not know."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
