"""``curves.json``: how a training went, epoch by epoch and layer by layer."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lit_dl.records.files import CURVES_FILE, read_json, write_json

SCHEMA = 1


@dataclass
class CurvesRecord:
    """The content of curves.json."""

    points: dict[str, list[float | None]] = field(default_factory=dict)  # step, epoch, seconds, and metrics by name
    layers: list[str] = field(default_factory=list)  # in order of depth
    log10_rms: list[list[float | None]] = field(default_factory=list)  # of the gradient, (layers, columns)
    steps: int = 0  # that those columns cover
    trajectory: dict[str, Any] = field(default_factory=dict)  # of a point on a surface: surface, step, x, y, f
    unknown: dict[str, Any] = field(default_factory=dict)  # keys of a newer lit_dl


def write_curves(curves: CurvesRecord, folder: Path) -> None:
    """Write ``curves.json``, atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    content = asdict(curves)
    write_json(folder / CURVES_FILE, SCHEMA, content, content.pop("unknown"), indent=None)


def read_curves(folder: Path) -> CurvesRecord:
    """How the training in a run folder went; an empty record if that was not recorded.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return read_json(folder / CURVES_FILE, CurvesRecord, "curves")
    except FileNotFoundError:
        return CurvesRecord()
