"""``sweep.json``: what a sweep consists of."""

import reprlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lit_dl.records.files import SWEEP_FILE, write_json
from lit_dl.records.reading import read_json, refusing

SCHEMA = 1
MOST_LETTERS = 255  # of a folder's name, in any file system


@dataclass
class SweepRecord:
    """The content of sweep.json."""

    arguments: list[str]  # of the command, as typed
    metric: str  # by which jobs are ranked
    accuracy: float  # whose time the report gives
    jobs: dict[str, list[str]] = field(default_factory=dict)  # the folder of each job, and its overrides
    unknown: dict[str, Any] = field(default_factory=dict)  # keys of a newer lit_dl


def write_sweep(sweep: SweepRecord, folder: Path) -> None:
    """Write ``sweep.json``, atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    content = asdict(sweep)
    write_json(folder / SWEEP_FILE, SCHEMA, content, content.pop("unknown"), indent=2)


def read_sweep(folder: Path) -> SweepRecord:
    """The sweep of a sweep folder.

    Raises:
        FileNotFoundError: if the folder has none.
        ValueError: if it is no sweep of lit_dl.
    """
    path = folder / SWEEP_FILE
    sweep = read_json(path, SweepRecord, "a sweep")
    with refusing(path, "a sweep"):
        for name in sweep.jobs:
            _check_name(name)
    return sweep


def _check_name(job: str) -> None:
    """Whether a job's folder lies in the sweep's, and nowhere else.

    Raises:
        ValueError: if not.
    """
    if job in ("", ".", "..") or len(job) > MOST_LETTERS or set(job) & set("/\\:\0"):
        raise ValueError(f"the job {reprlib.repr(job)} has no folder name")
