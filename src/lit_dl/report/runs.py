"""What a report is about: run folders found and read, and in what they differ. Imports no torch."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lit_dl import records
from lit_dl.overrides import config_flags, last_value, read_all, without

# Keys that say nothing of a setting: Hydra's own, where results go, and what belongs to the sweep as a whole.
NO_FACTORS = ("hydra.", "hydra/", "resume", "sweep.", "logger", "trainer.enable_progress_bar")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C ten times as fast, where PyYAML was built with it
Value = str | int | float | bool | None


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
    skipped: list[str] = field(default_factory=list)  # folders with the reason, a line each
    sweeps: dict[Path, records.SweepRecord] = field(default_factory=dict)  # by folder


def find(folders: Sequence[Path]) -> Found:
    """The runs in run folders, sweep folders and folders above them."""
    found, seen = Found(), set()
    for top in folders:
        before = len(found.jobs) + len(found.skipped)
        for path in _run_folders(top, found):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                _add(path, found)
        if len(found.jobs) + len(found.skipped) == before:
            found.skipped.append(
                f"{top}: " + ("no runs in it" if top.is_dir() else "not a folder" if top.exists() else "no such folder")
            )
    names = [job.name for job in found.jobs]
    for job in found.jobs:
        if names.count(job.name) > 1:
            job.name = f"{job.folder.parent.name}/{job.name}"
    return found


def _run_folders(top: Path, found: Found) -> Iterator[Path]:
    """Folders with a run at or below ``top``; the jobs of a sweep in their order, with those that have not begun."""
    if _is_run(top):
        yield top
        return
    planned: list[str] = []
    if (top / records.SWEEP_FILE).exists():
        try:
            sweep = records.read_sweep(top)
            found.sweeps[top] = sweep
            planned = list(sweep.jobs)
        except ValueError as error:
            found.skipped.append(str(error))
    try:
        below = sorted(entry.name for entry in os.scandir(top) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    for name in planned:
        yield top / name
    for name in (name for name in below if name not in planned):
        before = len(found.skipped)
        inside = list(_run_folders(top / name, found))
        if planned and not inside and len(found.skipped) == before:
            found.skipped.append(f"{top / name}: no run of this sweep")
        yield from inside


def _is_run(folder: Path) -> bool:
    return (folder / records.METRICS_FILE).is_file() or (folder / records.HYDRA_FOLDER / "config.yaml").is_file()


def _add(folder: Path, found: Found) -> None:
    sweep = found.sweeps.get(folder.parent)
    job = ReportedRun(folder.name, folder, "not started", [] if sweep is None else sweep.jobs.get(folder.name, []))
    if sweep is not None:
        job.flags = config_flags(sweep.arguments)
    try:
        if folder.is_dir():
            _read(job)
    except (ValueError, OSError, yaml.YAMLError) as error:
        found.skipped.append(f"{folder}: {str(error).splitlines()[0]}")
        return
    found.jobs.append(job)


def _read(job: ReportedRun) -> None:
    hydra = job.folder / records.HYDRA_FOLDER
    try:
        job.record = records.read_run(job.folder)
        job.status = job.record.status
        job.overrides = job.record.overrides or job.overrides
        job.curves = records.read_curves(job.folder)
    except FileNotFoundError:
        job.status = "running" if records.is_running(job.folder) else "unfinished"
        job.overrides = _load(hydra / "overrides.yaml") or job.overrides
    job.settings = dict(_flat(_load(hydra / "config.yaml") or {}))
    choices = job.record.choices if job.record is not None else {}
    if not choices:
        choices = records.named_choices(
            (_load(hydra / "hydra.yaml") or {"hydra": {"runtime": {"choices": {}}}})["hydra"]["runtime"]["choices"]
        )
    job.settings |= choices
    job.overrides = without("resume", job.overrides)


def _load(path: Path) -> Any:
    if not path.is_file():
        return None
    return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Value]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else value


def factors(jobs: Sequence[ReportedRun]) -> dict[str, list[Value]]:
    """What varied: each key or group that was set for some job and is not the same for all, with each job's value."""
    keys = dict.fromkeys(override.key for job in jobs for override in read_all(job.overrides))
    columns = {key: [_setting(job, key) for job in jobs] for key in keys if not key.startswith(NO_FACTORS)}
    return {key: values for key, values in columns.items() if len(set(map(str, values))) > 1}


def _setting(job: ReportedRun, key: str) -> Value:
    """As composed, or where nothing was composed as it was asked for; empty where it has no such key."""
    if key in job.settings:
        return job.settings[key]
    asked = last_value(key, job.overrides)
    return "" if asked is None else yaml.safe_load(asked)
