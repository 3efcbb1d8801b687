"""Sums over the samples of a part, from which its metrics come."""

from collections.abc import Callable

import torch
from torch import Tensor


class Sums:
    """Sum of losses, number of samples, and further sums, on the device until taken.

    Batches are kept and added up many at a time: a few operations on fifty batches instead of nine on each.

    Args:
        totals: (outputs (N, ...), targets (N, ...)) to the further sums over the N samples, (width,).
        width: their number.
    """

    KEPT = 50  # batches; their outputs are all that is held

    def __init__(self, totals: Callable[[Tensor, Tensor], Tensor], width: int) -> None:
        self._totals = totals
        self._width = width
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []  # not yet added up
        self._total: Tensor | None = None  # (1 + width,): loss, further sums
        self._count = 0

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch of B samples: its mean loss (), outputs (B, ...), targets (B, ...). Waits for no device."""
        self._batches.append((loss.detach(), outputs.detach(), targets))
        self._count += len(targets)
        if len(self._batches) == self.KEPT:
            self._add_up()

    def take(self, device: torch.device) -> Tensor:
        """(2 + width,) float64 (float32 where the device has none): loss, count, further sums; they begin anew."""
        if self._batches:
            self._add_up()
        dtype = torch.float32 if device.type == "mps" else torch.float64
        total = torch.zeros(2 + self._width, dtype=dtype, device=device)
        total[1] = self._count
        if self._total is not None:
            total[0], total[2:] = self._total[0], self._total[1:]
        self._total, self._count = None, 0
        return total

    def _add_up(self) -> None:
        losses, outputs, targets = zip(*self._batches, strict=True)
        sizes = torch.tensor([len(batch) for batch in targets], device=losses[0].device)
        loss = (torch.stack(losses).float() * sizes).sum()
        total = torch.cat([loss.reshape(1), self._totals(torch.cat(outputs), torch.cat(targets))])
        self._total = total if self._total is None else self._total + total
        self._batches = []
