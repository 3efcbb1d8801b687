"""What is kept of one activation while a network trains: whether its units answer, and how its outputs lie."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lit_dl.diagnostics.transfer import NamedHandle
from lit_dl.layers import CHANNEL_NORMS, CONVOLUTIONS

LINEAR_RANGE: dict[type[nn.Module], tuple[float, float]] = {nn.Sigmoid: (0.03, 0.97), nn.Tanh: (-0.97, 0.97)}
"""Outputs outside these are saturated: the slope is below 0.03 there (sigmoid, of 0.25) or 0.06 (tanh, of 1)."""
MORTAL = (nn.ReLU, nn.ReLU6)  # never negative; their units can give 0 for every sample, and then get no gradient
ENOUGH = 1024  # samples without an answer before a diagnosis takes a unit for dead
FOLDED = 64  # sums are kept at most before they are taken together


class WatchedActivation:
    """What is kept of one activation from one logged step to the next.

    Args:
        module: the activation.
        after: the layer before it.
        output: an example.
    """

    def __init__(self, module: nn.Module, after: nn.Module | None, output: Tensor) -> None:
        images = isinstance(after, (*CONVOLUTIONS, *CHANNEL_NORMS)) or output.dim() > 3
        self.module = module
        self.after = after
        self.is_mortal = isinstance(module, MORTAL)
        self.bounds = next((bounds for kind, bounds in LINEAR_RANGE.items() if isinstance(module, kind)), None)
        self.dims = output.dim()
        self.axis = 1 if images else self.dims - 1  # of the units
        self.others = tuple(dim for dim in range(self.dims) if dim != self.axis)  # samples and positions
        self.units = output.shape[self.axis]
        self.sums: list[Tensor] = []  # of each unit's outputs, none of them negative, (units,), since they were read
        self.long_dead: float | None = None  # share of dead units in the last ENOUGH samples
        self.long_sum: Tensor | None = None  # (units,): of a unit's outputs since those
        self.samples = 0  # since then
        self.size = 0  # outputs in the batch that was measured last
        self.taken: dict[str, Tensor] = {}  # measures of it by name, each () on the device
        self.sent: NamedHandle | None = None  # those, while a transfer has them
        self.output: Tensor | None = None  # a copy of it, if it is kept

    def add(self, output: Tensor) -> None:
        """Take in what a batch gave."""
        self.sums.append(output.sum(self.others))  # a list costs less than a running sum
        self.samples += output.size(0)
        if len(self.sums) == FOLDED:
            self.fold()

    def fold(self) -> Tensor:
        """The sums as one, (units,)."""
        total = torch.stack(self.sums).sum(dim=0)
        self.sums = [total]
        return total

    def state(self) -> dict[str, Any]:
        """What units have given since that was read, and for longer."""
        sums = [each.cpu() for each in self.sums]
        long_sum = None if self.long_sum is None else self.long_sum.cpu()
        return {"sums": sums, "long_sum": long_sum, "samples": self.samples, "long_dead": self.long_dead}

    def load(self, state: Mapping[str, Any]) -> None:
        """Put what ``state`` gave before what has been seen since."""
        device = self.sums[0].device if self.sums else torch.device("cpu")
        self.sums = [*(each.to(device) for each in state["sums"]), *self.sums]
        self.long_sum = None if state["long_sum"] is None else state["long_sum"].to(device)
        self.samples, self.long_dead = state["samples"] + self.samples, state["long_dead"]
        if len(self.sums) >= FOLDED:
            self.fold()

    def count_answers(self) -> dict[str, Tensor]:
        """Of a ReLU the number of units that answered, () on the device, since this was asked and for longer."""
        if not self.is_mortal:
            return {}
        total = self.fold()
        self.long_sum = total if self.long_sum is None else self.long_sum + total
        self.sums = []
        return {"answered": torch.count_nonzero(total), "answered_long": torch.count_nonzero(self.long_sum)}
