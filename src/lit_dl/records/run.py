"""``metrics.json``: how a run ended, and all that its result depends on."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from lit_dl.records.files import METRICS_FILE, write_json
from lit_dl.records.finding import Finding
from lit_dl.records.reading import read_json

SCHEMA = 1

Status = Literal["completed", "early_stopped", "diverged", "interrupted", "failed"]
GOOD = ("completed", "early_stopped")  # statuses whose metrics count


@dataclass
class RunRecord:
    """The content of metrics.json."""

    status: Status
    stop_reason: str
    metrics: dict[str, float | None] = field(default_factory=dict)  # None: not a finite number
    diagnosis: list[Finding] = field(default_factory=list)
    epochs: int = 0
    steps: int = 0  # of the optimizer
    seconds: float = 0.0  # of training, validation included
    diagnostics_seconds: float = 0.0  # of those, for measures, pictures and diagnosis
    samples_per_second: float = 0.0  # training samples over the seconds
    best_checkpoint: str | None = None  # relative to the run folder
    data: dict[str, Any] = field(default_factory=dict)  # name, sizes, sha256 of what was trained on
    environment: dict[str, Any] = field(default_factory=dict)  # see lit_dl.records.environment
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)  # of each config group
    unknown: dict[str, Any] = field(default_factory=dict)  # keys of a newer lit_dl


def write_run(record: RunRecord, folder: Path) -> None:
    """Write ``metrics.json``, atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    content = asdict(record)
    unknown = content.pop("unknown")
    content["diagnosis"] = [finding.as_json() for finding in record.diagnosis]
    write_json(folder / METRICS_FILE, SCHEMA, content, unknown, indent=2)


def read_run(folder: Path) -> RunRecord:
    """The record of a run folder.

    Raises:
        FileNotFoundError: if the folder has none, because it is no run folder or its run has not ended.
        ValueError: if it is no record of lit_dl.
    """
    path = folder / METRICS_FILE
    record = read_json(path, RunRecord, "a run")
    if record.status not in get_args(Status):
        raise ValueError(f"{path} has status {record.status!r}; known are {', '.join(get_args(Status))}")
    return record
