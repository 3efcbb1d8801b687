"""``sweep.json``: what a sweep consists of."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lit_dl.records.files import SWEEP_FILE, read_json, write_json

SCHEMA = 1


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
    sweep = read_json(folder / SWEEP_FILE, SweepRecord, "a sweep")
    if not isinstance(sweep.arguments, list):
        raise ValueError(f"{folder / SWEEP_FILE} is damaged, or no record of a sweep")
    return sweep
