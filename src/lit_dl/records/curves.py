"""``curves.json``: how a training went, epoch by epoch and layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from lit_dl.records.checking import checked
from lit_dl.records.files import CURVES_FILE, write_json
from lit_dl.records.reading import read_json, refusing

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
    path = folder / CURVES_FILE
    try:
        curves = read_json(path, CurvesRecord, "curves")
    except FileNotFoundError:
        return CurvesRecord()
    with refusing(path, "curves"):
        _check_lengths("points", list(curves.points.values()), least=0)
        _check_lengths("log10_rms", curves.log10_rms)
        if len(curves.log10_rms) not in (0, len(curves.layers)):
            raise ValueError(f"log10_rms has {len(curves.log10_rms)} rows for {len(curves.layers)} layers")
        if curves.trajectory:
            _check_trajectory(curves.trajectory)
    return curves


def _check_lengths(name: str, lists: Sequence[Sequence[Any]], least: int = 1) -> None:
    lengths = set(map(len, lists))
    if len(lengths) > 1 or min(lengths, default=least) < least:
        raise ValueError(f"the lists of {name} have the lengths {sorted(lengths)}")


def _check_trajectory(trajectory: Mapping[str, Any]) -> None:
    """Whether it has a surface, and points from a start that there is, in steps that rise."""
    checked(trajectory.get("surface"), str, "trajectory.surface")
    steps = checked(trajectory.get("step"), list[float], "trajectory.step")
    values = [checked(trajectory.get(name), list[float | None], f"trajectory.{name}") for name in ("x", "y", "f")]
    _check_lengths("trajectory", [steps, *values])
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError("the steps of the trajectory do not rise")
    if None in (values[0][0], values[1][0]):
        raise ValueError("the trajectory has no start")
