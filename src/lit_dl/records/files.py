"""The files of a run folder: their names, and how they are replaced whole or not at all."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lit_dl.records.patience import patiently

METRICS_FILE = "metrics.json"
CURVES_FILE = "curves.json"
RECEIPT_FILE = "receipt.json"
CRASH_FILE = "crash.pt"
SWEEP_FILE = "sweep.json"
LOG_FILE = "train.log"  # as conf/hydra/job_logging has it
HYDRA_FOLDER = ".hydra"  # the composed config
CHECKPOINTS = "checkpoints"
LOCK_FILE = ".lock"  # freed by the system when its process is killed
STOP_FILE = ".stop"  # in a sweep folder: no job begins any more
LAST, BEST = "last", "best"  # names of the checkpoints, less .ckpt


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
    part.unlink(missing_ok=True)  # a link of that name would be followed
    try:
        yield part
        if durable:
            with part.open("rb+") as file:  # Windows writes to the disk only what is open for writing
                os.fsync(file.fileno())
        patiently(lambda: os.replace(part, path))
    except OSError as error:
        if error.errno is not None:  # of the system, whose writes name no file
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what a killed process had not finished writing in a run folder, which this process holds."""
    for place in (folder, folder / HYDRA_FOLDER, folder / CHECKPOINTS):
        for part in place.glob(".*.part"):
            with suppress(OSError):
                part.unlink()


def remove_curves(folder: Path) -> None:
    """Remove what a run that begins anew in a folder would be shown beside: TensorBoard's files."""
    for events in folder.glob("events.out.tfevents.*"):
        with suppress(OSError):
            events.unlink()


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


def last_checkpoint(folder: Path) -> Path:
    """Where a run folder has the state after its last whole epoch."""
    return folder / CHECKPOINTS / f"{LAST}.ckpt"


def _finite(content: Any) -> Any:
    """The same with None for each number that is not finite, which JSON does not know."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
