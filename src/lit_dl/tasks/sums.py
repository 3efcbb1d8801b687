"""Sums over the samples of a part, from which its metrics come."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lit_dl.metrics import LOSS, Metric


class Sums:
    """Sum of losses, number of samples, and the sums of each metric, on the device until taken.

    Batches are kept and added up many at a time: a few operations on fifty batches instead of a dozen on each.

    Args:
        metrics: whose sums are kept; one that says nothing of so few outputs is left out.
        answers: outputs (N, C) to what the metrics compare with the targets.
    """

    KEPT = 50  # batches; their outputs are all that is held

    def __init__(self, metrics: Sequence[Metric], answers: Callable[[Tensor], Tensor]) -> None:
        self._metrics = metrics
        self._answers = answers
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []  # not yet added up
        self._widths: dict[Metric, int] = {}  # of the metrics' sums; known after the first batches
        self._total: Tensor | None = None  # (1 + widths,): loss, sums
        self._count = 0

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch of B samples: its mean loss (), outputs (B, C), targets (B, ...). Waits for no device."""
        self._batches.append((loss.detach(), outputs.detach(), targets))
        self._count += len(targets)
        if len(self._batches) == self.KEPT:
            self._add_up()

    def take(self) -> Tensor | None:
        """(2 + widths,) float64 (float32 where the device has none): loss, count, sums; they begin anew.

        None if nothing was added.
        """
        if self._batches:
            self._add_up()
        if self._total is None:
            return None
        device = self._total.device
        total = torch.empty(
            len(self._total) + 1, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device
        )
        total[0], total[1], total[2:] = self._total[0], self._count, self._total[1:]
        self._total, self._count = None, 0
        return total

    def means(self, total: np.ndarray) -> dict[str, float]:
        """The loss and the metrics by name, from what ``take`` gave; without those that are not defined for it."""
        loss, count = total[:2].tolist()
        values = {LOSS: loss / count}
        start = 2
        for metric, width in self._widths.items():
            value = metric.value(total[start : start + width], count)
            start += width
            if value is not None:
                values[metric.name] = value
        return values

    def _add_up(self) -> None:
        losses, outputs, targets = zip(*self._batches, strict=True)
        sizes = torch.tensor([len(batch) for batch in targets], device=losses[0].device)
        loss = (torch.stack(losses).float() * sizes).sum()
        given, wanted = torch.cat(outputs), torch.cat(targets)
        answers = self._answers(given)
        metrics = [metric for metric in self._metrics if given.shape[1] >= metric.least_outputs]
        sums = {metric: metric.sums(given, answers, wanted) for metric in metrics}
        self._widths = {metric: len(each) for metric, each in sums.items()}
        total = torch.cat([loss.reshape(1), *sums.values()])
        self._total = total if self._total is None else self._total + total
        self._batches = []
