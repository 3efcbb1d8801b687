"""The trajectory of a point on a surface. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lit_dl.descent.surfaces import SURFACES

MOST_WRITTEN = 1000  # points that are written; a picture shows no more
FIELDS = ("step", "x", "y", "f")


@dataclass
class Trajectory:
    """Points in order of time: after ``step`` steps the point was at (x, y), where the surface has the value f."""

    surface: str
    step: np.ndarray  # (n,), and so the others
    x: np.ndarray
    y: np.ndarray
    f: np.ndarray

    def thinned(self, most: int = MOST_WRITTEN) -> "Trajectory":
        """At most so many of the points, the first and the last among them, spread by ``travelled``."""
        if len(self.step) <= most:
            return self
        far = self.travelled()
        rows = np.unique(np.searchsorted(far, np.linspace(0, far[-1], most - 1)))
        rows = np.union1d(rows, [0, len(self.step) - 1])
        return Trajectory(self.surface, *(getattr(self, name)[rows] for name in FIELDS))

    def travelled(self) -> np.ndarray:
        """How far along each point is, (n,): half by length within the picture, half by steps; from 0 to 1 (or to a
        half, where nothing moves).

        By steps alone, a trajectory that is over in a hundredth of the steps would keep a hundredth of the points.
        """
        limits = SURFACES[self.surface]
        x, y = (
            np.clip(np.nan_to_num(values, nan=high), low, high)
            for values, (low, high) in ((self.x, limits.x_limits), (self.y, limits.y_limits))
        )
        length = np.concatenate([[0.0], np.hypot(np.diff(x), np.diff(y)).cumsum()])
        steps = self.step - self.step[0]
        return (length / (length[-1] or 1.0) + steps / (steps[-1] or 1.0)) / 2

    def as_columns(self) -> dict[str, Any]:
        """Primitives, for JSON; values to 8 digits, which float32 has."""
        columns = {name: [float(f"{value:.8g}") for value in getattr(self, name)] for name in FIELDS[1:]}
        return {"surface": self.surface, "step": self.step.astype(int).tolist(), **columns}


def read_trajectory(columns: Mapping[str, Any]) -> Trajectory | None:
    """From what ``as_columns`` gave; None if that is empty, or of a surface that is not known here."""
    if columns.get("surface") not in SURFACES:
        return None
    return Trajectory(
        columns["surface"], *(np.array(columns[name], dtype=float) for name in FIELDS)
    )  # None becomes NaN
