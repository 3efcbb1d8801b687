"""The run folder: what is written there, and how it is read back. Imports no torch."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

METRICS_FILE = "metrics.json"
CURVES_FILE = "curves.json"
SWEEP_FILE = "sweep.json"
HYDRA_FOLDER = ".hydra"  # the composed config
CHECKPOINTS = "checkpoints"
LOCK_FILE = ".lock"  # in the run folder; freed by the system when its process is killed
STOP_FILE = ".stop"  # in the sweep folder: no job begins any more
LAST, BEST = "last", "best"  # names of the checkpoints, less .ckpt
# By which runs are chosen and watched, never the test set's: of all, of classification, of regression.
METRICS = ("train/loss", "val/loss", "train/acc", "val/acc", "train/mae", "val/mae", "train/r2", "val/r2")
PACKAGES = ("lit_dl", "torch", "lightning", "hydra-core", "torchmetrics", "tensorboard", "scikit-learn")

Status = Literal["completed", "early_stopped", "diverged", "interrupted", "failed"]
GOOD = ("completed", "early_stopped")  # statuses whose metrics count


@dataclass
class Record:
    """The content of metrics.json."""

    status: Status
    stop_reason: str
    metrics: dict[str, float | None] = field(default_factory=dict)  # None: not a finite number
    diagnosis: list[dict[str, Any]] = field(default_factory=list)  # findings, as lit_dl.diagnostics.verdict has them
    epochs: int = 0
    steps: int = 0  # of the optimizer
    seconds: float = 0.0  # of training, validation included
    diagnostics_seconds: float = 0.0  # of those, for measures, pictures and diagnosis
    samples_per_second: float = 0.0  # training samples over the seconds
    best_checkpoint: str | None = None  # relative to the run folder
    data: dict[str, Any] = field(default_factory=dict)  # name, sizes, sha256 of what was trained on
    environment: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)  # of each config group


def is_better_larger(metric: str) -> bool:
    """Whether the largest value of a metric is its best."""
    return metric.endswith(("/acc", "/r2"))


def usual_metric(wanted: str, present: Collection[str]) -> str:
    """The metric to rank by: the one wanted or, if no run has it, what there is in its place."""
    instead = ("val/acc", "val/r2", "val/loss", "train/loss")
    return next((name for name in (wanted, *instead) if name in present), wanted)


def write(record: Record, folder: Path) -> None:
    """Write ``metrics.json``, atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    content = _finite(asdict(record))
    write_text(folder / METRICS_FILE, json.dumps(content, indent=2, allow_nan=False) + "\n")


@dataclass
class Course:
    """The content of curves.json: how a training went."""

    points: dict[str, list[float | None]] = field(default_factory=dict)  # step, epoch, seconds, and metrics by name
    layers: list[str] = field(default_factory=list)  # in order of depth
    log10_rms: list[list[float | None]] = field(default_factory=list)  # of the gradient, (layers, columns)
    steps: int = 0  # that those columns cover
    trajectory: dict[str, Any] = field(default_factory=dict)  # of a point on a surface: surface, step, x, y, f


def write_course(course: Course, folder: Path) -> None:
    """Write ``curves.json``, atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    write_text(folder / CURVES_FILE, json.dumps(_finite(asdict(course)), allow_nan=False) + "\n")


def read_course(folder: Path) -> Course:
    """How the training in a run folder went; an empty one if that was not recorded.

    Raises:
        ValueError: if it cannot be read.
    """
    path = folder / CURVES_FILE
    try:
        return Course(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Course()
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"{path} is damaged") from error


def _finite(content: Any) -> Any:
    """The same with None for each number that is not finite, which JSON does not know."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_config(config: str, overrides: list[str], folder: Path) -> None:
    """Replace a run folder's config by that with which it goes on, both given as YAML and list.

    Raises:
        OSError: if the folder cannot be written.
    """
    write_text(folder / HYDRA_FOLDER / "config.yaml", config)
    write_text(folder / HYDRA_FOLDER / "overrides.yaml", yaml.safe_dump(overrides))


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: readers see the old content or the new one, never a part.

    Raises:
        OSError: if it cannot be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write beside ``path``, which takes its place when the block ends well and vanishes otherwise.

    Raises:
        OSError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # or the name could reach the disk before the content
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(folder: Path) -> Record:
    """The record of a run folder.

    Raises:
        FileNotFoundError: if the folder has none, because it is no run folder or its run has not ended.
        ValueError: if it is no record of lit_dl.
    """
    path = folder / METRICS_FILE
    try:
        record = Record(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"{path} is damaged, or no record of a run") from error
    if record.status not in get_args(Status):
        raise ValueError(f"{path} has status {record.status!r}; known are {', '.join(get_args(Status))}")
    return record


@dataclass
class Sweep:
    """The content of sweep.json: what a sweep consists of."""

    arguments: list[str]  # of the command, as typed
    metric: str  # by which jobs are ranked
    accuracy: float  # whose time the report gives
    jobs: dict[str, list[str]] = field(default_factory=dict)  # the folder of each job, and its overrides


def write_sweep(sweep: Sweep, folder: Path) -> None:
    """Write ``sweep.json``, atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    write_text(folder / SWEEP_FILE, json.dumps(asdict(sweep), indent=2) + "\n")


def read_sweep(folder: Path) -> Sweep:
    """The sweep of a sweep folder.

    Raises:
        FileNotFoundError: if the folder has none.
        ValueError: if it is no sweep of lit_dl.
    """
    path = folder / SWEEP_FILE
    try:
        sweep = Sweep(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"{path} is damaged, or no record of a sweep") from error
    if not isinstance(sweep.arguments, list) or not isinstance(sweep.jobs, dict):
        raise ValueError(f"{path} is damaged, or no record of a sweep")
    return sweep


def needed_flags(arguments: Sequence[str]) -> list[str]:
    """Of a sweep's arguments those that any command with its overrides needs: where configs are looked for."""
    return [argument for argument in arguments if argument.startswith(("--config-dir=", "hydra.searchpath="))]


def is_running(folder: Path) -> bool:
    """Whether a process is at work on the run in ``folder``."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK_FILE).exists():
        return False
    try:
        with FileLock(folder / LOCK_FILE, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def named_choices(choices: Mapping[str, Any]) -> dict[str, str]:
    """Of Hydra's choices those of lit_dl's groups."""
    return {group: str(choice) for group, choice in choices.items() if not group.startswith("hydra/") and choice}


def overrides_to_resume(folder: Path) -> list[str]:
    """The overrides with which the run in ``folder`` was started, to compose its config again.

    Raises:
        ValueError: if it is no run folder, or has no checkpoint to go on from.
    """
    path = folder / HYDRA_FOLDER / "overrides.yaml"
    if not path.is_file():
        raise ValueError(f"{folder} is no run folder: it has no {HYDRA_FOLDER}/overrides.yaml")
    if not last_checkpoint(folder).is_file():
        raise ValueError(f"{folder} has no {CHECKPOINTS}/{LAST}.ckpt to go on from: its first epoch was not finished")
    overrides = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [override for override in overrides if not override.startswith("resume=")]


def read_config(folder: Path) -> dict[str, Any]:
    """The composed config of a run folder; interpolations are left as they are written.

    Raises:
        FileNotFoundError: if it has none.
    """
    config: dict[str, Any] = yaml.safe_load((folder / HYDRA_FOLDER / "config.yaml").read_text(encoding="utf-8"))
    return config


def last_checkpoint(folder: Path) -> Path:
    """Where a run folder has the state after its last whole epoch."""
    return folder / CHECKPOINTS / f"{LAST}.ckpt"


def environment(device: str) -> dict[str, Any]:
    """What a result depends on beside the config: versions, machine, threads, device, git commit of lit_dl's source."""
    return {
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),  # sums in another number of threads round otherwise
        "device": device,
        "git_commit": _git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Of the checkout that this file belongs to, with ``-dirty`` when files differ from it; None when installed."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
