"""One step of the optimizer, measured: gradients before it, what it did to the weights after it."""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.optim import Optimizer

from lit_dl.diagnostics.optimizer_steps import STEP_MEASURES, RateMeter, rates_by_layer
from lit_dl.diagnostics.parameters import MEASURES, LayerStep, StepMeter
from lit_dl.diagnostics.transfer import Handle, Transfer
from lit_dl.layers import Layer

Values = dict[str, list[float | None]]
"""By tag, of each layer; None where it has none."""


class Meters:
    """What measures the steps of one network, once its layers are known.

    Args:
        layers: in order of use.
        optimizers: of the network; what none of them has is not compared with other layers.
        optimizer_steps: whether what the optimizer makes of the gradients is measured too.
    """

    def __init__(self, layers: Sequence[Layer], optimizers: Sequence[Optimizer], optimizer_steps: bool) -> None:
        trained = {id(p) for each in optimizers for group in each.param_groups for p in group["params"]}
        self.layers = layers
        self.names = [layer.name for layer in layers]
        self.compared = [layer.is_compared and any(id(p) in trained for p in layer.parameters) for layer in layers]
        self.step = StepMeter(layers)
        self.rates = RateMeter(layers) if optimizer_steps else None


class StepMeasurement:
    """The measures of one logged step. It exists from before the step until its numbers are read.

    Args:
        meters: of the network.
        optimizers: about to step; schedules change their rates before the numbers are read.
        scale: what the gradients are still multiplied by, ().
        counts_zeros: count the gradient's zeros.
    """

    def __init__(self, meters: Meters, optimizers: Sequence[Optimizer], scale: Tensor, counts_zeros: bool) -> None:
        self.lr = float(optimizers[0].param_groups[0]["lr"])  # of the first group of parameters, in this step
        self._layer_rates = rates_by_layer(meters.layers, optimizers)
        self._meters = meters
        self._scale = scale
        self._sent_scale: Handle | None = None  # it, while a transfer has it
        self._is_clipped = False  # whether gradients were clipped; known after the step
        self._steps: list[LayerStep] = []  # of each layer, once read
        meters.step.before(counts_zeros)
        if meters.rates is not None:
            meters.rates.before(optimizers)

    def is_finite(self) -> bool:
        """Whether the gradient is finite. Waits for the device."""
        return self._meters.step.is_finite()

    def send(self, transfer: Transfer, is_clipped: bool) -> None:
        """The step was made: let a transfer take along what it did."""
        self._is_clipped = is_clipped
        self._sent_scale = transfer.add([self._scale])
        self._meters.step.after(transfer, is_clipped, finds_largest=self._meters.rates is not None)
        if self._meters.rates is not None:
            self._meters.rates.after(transfer)

    def read(self) -> Values:
        """Every measure of every layer, once the transfer was fetched."""
        assert self._sent_scale is not None, "call send() first"
        self._steps = self._meters.step.read(self._sent_scale.values[0])
        measures = MEASURES if self._meters.rates is None else {**MEASURES, **STEP_MEASURES}
        values: Values = {
            tag: [measure(each) if each.entries else None for each in self._steps] for tag, measure in measures.items()
        }
        values["lr"] = self._layer_rates
        if self._meters.rates is not None:
            values["effective_lr"] = self._meters.rates.read()
        return values

    def totals(self) -> dict[str, float]:
        """Norms of the whole gradient, after ``read``: before clipping and, if there was any, after it."""
        totals = {"grad_norm/total": math.hypot(*(each.gradient for each in self._steps))}
        if self._is_clipped:
            totals["grad_norm_clipped/total"] = math.hypot(*(each.clipped or 0.0 for each in self._steps))
        return totals
