"""The metrics along a training, in bounded memory."""

from collections.abc import Mapping
from typing import Any

MOST_KEPT = 500  # points kept; a chart shows no more


class Curves:
    """A point for each epoch or validation: step, epoch and seconds of training, and the metrics there.

    When there are ``MOST_KEPT`` points every second one goes, and then only every second new one is kept, and so
    on. The newest is always there.
    """

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []
        self._every = 1  # of the points that came, each so-many-th is kept
        self._seen = 0  # points that came

    def add(self, step: int, epoch: float, seconds: float, metrics: Mapping[str, float]) -> None:
        """Add a point, or metrics to the newest one if that is of the same step."""
        if self.points and self.points[-1]["step"] == step:
            self.points[-1].update(metrics)
            return
        if self._seen % self._every != 0:
            self.points.pop()  # was there only as the newest
        elif len(self.points) == MOST_KEPT:
            self.points = self.points[1::2]
            self._every *= 2
        self._seen += 1
        self.points.append({"step": step, "epoch": epoch, "seconds": seconds, **metrics})

    def columns(self) -> dict[str, list[float | None]]:
        """The points as a list for each quantity, all of the same length; None where it was not measured."""
        names = dict.fromkeys(name for point in self.points for name in point)
        return {name: [point.get(name) for point in self.points] for name in names}

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on."""
        return {"points": [dict(point) for point in self.points], "every": self._every, "seen": self._seen}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.points = [dict(point) for point in state["points"]]
        self._every, self._seen = state["every"], state["seen"]
