"""What the pictures are drawn from: loss and RMS gradients (or another measure) along the steps, in bounded memory."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

COLUMNS = 512  # kept at most; a picture of 900 pixels shows no more
FLOOR = 1e-12  # values below it are drawn alike, exact zeros among them


class History:
    """Means over columns of ``span`` steps, at first of one. When there are too many columns, neighbours are merged."""

    def __init__(self) -> None:
        self.span = 1  # steps a column stands for
        self.layers: list[str] = []
        self._sums = np.zeros((0, COLUMNS))  # of log10 of the measure, a layer a row
        self._counts = np.zeros((0, COLUMNS))
        self._loss = np.zeros((2, COLUMNS))  # sum and count
        self._last = -1  # the last column used

    def add_layers(self, step: int, layers: Sequence[str], values: Sequence[float | None]) -> None:
        """Add each layer's RMS gradient, say, in the given step (from 1 up); None or NaN where there is none."""
        if not self.layers:
            self.layers = list(layers)
            self._sums, self._counts = np.zeros((2, len(layers), COLUMNS))
        column = self._column(step)
        for row, value in enumerate(values):
            if value is not None and math.isfinite(value):
                self._sums[row, column] += math.log10(max(value, FLOOR))
                self._counts[row, column] += 1

    def add_losses(self, first_step: int, losses: Sequence[float]) -> None:
        """Add the loss of each step from ``first_step`` on; those that are not finite are left out."""
        for step, loss in enumerate(losses, first_step):
            column = self._column(step)
            if math.isfinite(loss):
                self._loss[0, column] += loss
                self._loss[1, column] += 1

    @property
    def steps(self) -> int:
        """Steps that the columns cover."""
        return (self._last + 1) * self.span

    def logs(self) -> np.ndarray:
        """log10 of the measure (geometric mean over a column), (layers, columns); NaN where there is none.

        Columns between two logged steps have the value of the later one, those after the last the value of that.
        """
        return np.array([_filled(row) for row in _mean(self._sums, self._counts)[:, : self._last + 1]])

    def points(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each layer: step in the middle of each column that has a value, and its log10 there, both (n,)."""
        return [self._points(row) for row in _mean(self._sums, self._counts)]

    def coarse(self, columns: int) -> list[list[float | None]]:
        """``logs()`` in at most so many columns, by means of neighbours, to three decimals."""
        fine = self.logs()
        parts = np.array_split(fine, min(columns, fine.shape[-1]), axis=-1) if fine.size else []
        means = np.array([part.mean(axis=1) for part in parts]).T
        return [[round(value, 3) for value in row] for row in means.tolist()]

    def losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Step in the middle of each column that has a loss, and the mean loss there, both (n,)."""
        return self._points(_mean(*self._loss))

    def _points(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = np.isfinite(means)
        return ((np.arange(len(means)) + 0.5) * self.span)[known], means[known]

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on."""
        used = slice(self._last + 1)
        arrays = {"sums": self._sums[:, used], "counts": self._counts[:, used], "loss": self._loss[:, used]}
        return {"span": self.span, "layers": self.layers, **{name: array.tolist() for name, array in arrays.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.span, self.layers = state["span"], list(state["layers"])
        self._loss = _padded(state["loss"])
        self._sums, self._counts = (_padded(state[name]) if self.layers else self._sums for name in ("sums", "counts"))
        self._last = len(state["loss"][0]) - 1

    def _column(self, step: int) -> int:
        while (step - 1) // self.span >= COLUMNS:
            self._sums, self._counts, self._loss = map(_merged, (self._sums, self._counts, self._loss))
            self.span *= 2
            self._last //= 2
        column = (step - 1) // self.span
        self._last = max(self._last, column)
        return column


def _mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _filled(row: np.ndarray) -> np.ndarray:
    """Each NaN replaced by the next value, and after the last value by that; a row of nothing stays."""
    known = np.flatnonzero(~np.isnan(row))
    if len(known) == 0:
        return row
    return row[known[np.minimum(np.searchsorted(known, np.arange(len(row))), len(known) - 1)]]


def _merged(columns: np.ndarray) -> np.ndarray:
    """Each pair of columns added into one; the second half is empty."""
    pairs = columns.reshape(len(columns), COLUMNS // 2, 2).sum(axis=2)
    return np.concatenate([pairs, np.zeros_like(pairs)], axis=1)


def _padded(rows: list[list[float]]) -> np.ndarray:
    array = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    return np.pad(array, ((0, 0), (0, COLUMNS - array.shape[1])))
