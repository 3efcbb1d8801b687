"""What a report is about: run folders found and read, and in what they differ. Imports no torch."""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lit_dl import records
from lit_dl.overrides import config_flags, is_override, read_all, without
from lit_dl.report.folders import Walk

# Keys that say nothing of a setting: Hydra's own, where results go, and what belongs to the sweep as a whole.
NO_FACTORS = ("hydra.", "hydra/", "resume", "sweep.", "logger", "trainer.enable_progress_bar")
Value = str | int | float | bool | None
T = TypeVar("T")


@dataclass
class ReportedRun:
    """One run, whether it ended or not."""

    name: str
    folder: Path
    status: str  # one of records.Status, or running, unfinished, not started
    overrides: list[str]
    record: records.RunRecord | None = None
    curves: records.CurvesRecord = field(default_factory=records.CurvesRecord)
    settings: dict[str, Value] = field(default_factory=dict)  # all that is known, by dotted key or group
    flags: list[str] = field(default_factory=list)  # that its command needs beside the overrides

    @property
    def is_good(self) -> bool:
        """Whether it ended as it should."""
        return self.status in records.GOOD

    def metric(self, name: str) -> float | None:
        """A final metric; None if there is none that is finite."""
        return None if self.record is None else self.record.metrics.get(name)

    def seconds_to(self, accuracy: float) -> float | None:
        """Seconds of training until the validation accuracy was first at least that; None if it never was."""
        points = self.curves.points
        reached = zip(points.get("val/acc", []), points.get("seconds", []), strict=False)
        return next((at for value, at in reached if value is not None and value >= accuracy), None)


@dataclass
class Found:
    """What was found in the folders that were asked for."""

    jobs: list[ReportedRun] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # folders and files with the reason, a line each


def find(folders: Sequence[Path]) -> Found:
    """The runs in run folders, sweep folders and folders above them."""
    walk, found, seen = Walk(), Found(), set()
    for top in folders:
        walk.skipped.clear()
        paths = list(walk.down(top))
        found.skipped += walk.skipped
        if not paths and not walk.skipped:
            found.skipped.append(f"{top}: {_why_empty(top)}")
        for path in paths:
            if (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                _add(path, walk.sweeps.get(path.parent), found)
    names = Counter(job.name for job in found.jobs)
    for job in found.jobs:
        if names[job.name] > 1:
            job.name = f"{job.folder.parent.name}/{job.name}"
    return found


def _why_empty(top: Path) -> str:
    if not os.path.lexists(top):
        return "no such folder"
    return "no runs in it" if os.path.isdir(top) else "not a folder"  # noqa: PTH112  # Path's may raise


def _add(folder: Path, sweep: records.SweepRecord | None, found: Found) -> None:
    job = ReportedRun(folder.name, folder, "not started", [] if sweep is None else sweep.jobs.get(folder.name, []))
    if sweep is not None:
        job.flags = config_flags(sweep.arguments)
    try:
        if os.path.lexists(folder):
            _read(job)
    except (ValueError, OSError) as error:  # which names the file
        found.skipped.append(str(error))
        return
    found.jobs.append(job)


def _read(job: ReportedRun) -> None:
    try:
        job.record = records.read_run(job.folder)
        job.status = job.record.status
        job.overrides = job.record.overrides or job.overrides
        job.curves = records.read_curves(job.folder)
    except FileNotFoundError:
        job.status = "running" if records.is_running(job.folder) else "unfinished"
        job.overrides = _if_there(records.read_overrides, job.folder) or job.overrides
    job.settings = dict(_flat(_if_there(records.read_config, job.folder) or {}))
    choices = job.record.choices if job.record is not None else {}
    job.settings |= choices or _if_there(records.read_choices, job.folder) or {}
    job.overrides = without("resume", job.overrides)


def _if_there(read: Callable[[Path], T], folder: Path) -> T | None:
    try:
        return read(folder)
    except FileNotFoundError:
        return None


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Value]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _value(value)


def _value(content: Any) -> Value:
    """As one value: a list as it is typed, and a number that is not finite, which has no place on an axis, as text."""
    if isinstance(content, list | dict):
        return json.dumps(content)
    return str(content) if isinstance(content, float) and not math.isfinite(content) else content


def factors(jobs: Sequence[ReportedRun]) -> dict[str, list[Value]]:
    """What varied: each key or group that was set for some job and is not the same for all, with each job's value."""
    asked = [{o.key: o.value for o in read_all(filter(is_override, job.overrides))} for job in jobs]
    keys = dict.fromkeys(key for overrides in asked for key in overrides if not key.startswith(NO_FACTORS))
    columns = {key: [_setting(job, key, its) for job, its in zip(jobs, asked, strict=True)] for key in keys}
    return {key: values for key, values in columns.items() if len(set(map(str, values))) > 1}


def _setting(job: ReportedRun, key: str, asked: Mapping[str, str]) -> Value:
    """As composed, or where nothing was composed as it was asked for; empty where it has no such key."""
    if key in job.settings:
        return job.settings[key]
    if key not in asked:
        return ""
    try:
        return _value(records.parse_yaml(asked[key]))
    except ValueError:  # as Hydra's grammar has it, and YAML not
        return asked[key]
