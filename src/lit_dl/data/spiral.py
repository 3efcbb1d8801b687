"""Interleaved spiral arms in the plane: no straight line tells them apart."""

import math
from typing import Any

import torch

from lit_dl.data.base import InMemoryData, Samples, check_classes
from lit_dl.devices import check_memory
from lit_dl.errors import check_count, check_number, is_number

POOL_SEED, TEST_SEED = 0, 1  # the points are the same whatever the other seeds


class Spiral(InMemoryData):
    """Points on ``classes`` noisy spiral arms.

    Point k of n of class c (of C) has radius t = k / (n - 1), from 0 to 1, and angle 2 pi (c / C + turns t) plus
    normal noise; it lies at (t sin(angle), t cos(angle)). With turns = 2 / C this is the data of the course that lit_dl
    follows, after CS231n's lecture notes. The test set has as many points, with other noise.

    Args:
        classes: number of arms, from 2 to 1,000.
        points: points an arm, from 2 up.
        noise: standard deviation of the angle, in radians.
        turns: revolutions of an arm; None is 2 / classes.
        options: the arguments of ``InMemoryData``.

    Raises:
        ValueError: for an argument out of its range, or more points than memory can hold.
    """

    name = "spiral"
    in_shape = (2,)

    def __init__(
        self, classes: int = 3, points: int = 1000, noise: float = 0.2, turns: float | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        check_count("classes", classes, least=2)
        check_classes("spiral", classes)
        check_count("points", points, least=2)
        size = 2 * classes * points * (2 * 4 + 8)  # pool and test set, each point two float32 and an int64
        check_memory(f"points={points:,} of classes={classes:,}", size, "Take fewer")
        check_number("noise", noise, least=0, unit=" (radians)")
        if turns is not None and not is_number(turns):
            raise ValueError(f"turns is {turns!r}; it must be a number, or null for 2 / classes")
        self.num_classes = classes
        self.points = points
        self.noise = noise
        self.turns = 2 / classes if turns is None else turns

    def load_pool(self) -> Samples:
        """(classes * points, 2) float32 and (classes * points,) labels."""
        return self._arms(POOL_SEED)

    def load_test(self) -> Samples:
        """As many points as the pool has, with other noise."""
        return self._arms(TEST_SEED)

    def _arms(self, seed: int) -> Samples:
        radius = torch.linspace(0, 1, self.points).repeat(self.num_classes)
        labels = torch.arange(self.num_classes).repeat_interleave(self.points)
        noise = torch.randn(len(labels), generator=torch.Generator().manual_seed(seed)) * self.noise
        angle = 2 * math.pi * (labels / self.num_classes + self.turns * radius) + noise
        return torch.stack([radius * angle.sin(), radius * angle.cos()], dim=1), labels
