"""What an optimizer makes of the gradients: the rate that each layer really gets, and how far its entries move."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.parameters import LayerStep
from lit_dl.diagnostics.transfer import Handle, Transfer
from lit_dl.layers import Layer
from lit_dl.lightning_seams import sums_of_roots

Group = Mapping[str, Any]


class Scaling(NamedTuple):
    """How an optimizer scales a gradient: by rate / (sqrt(state / correction) + eps), entry by entry."""

    state: str | None  # what it has the mean or sum of squared gradients under; None: it scales by the rate alone
    rate: Callable[[Group, float], float] = lambda group, step: float(group["lr"])
    correction: Callable[[Group, float], float] = lambda group, step: 1.0


def _decayed(group: Group, step: float) -> float:
    return float(group["lr"] / (1 + (step - 1) * group.get("lr_decay", 0.0)))


def _beginning_at_zero(group: Group, step: float) -> float:
    return float(1 - group["betas"][1] ** step)


SCALINGS: Mapping[str, Scaling] = {
    "SGD": Scaling(None),
    "Momentum": Scaling(None),
    "Adagrad": Scaling("sum", rate=_decayed),  # Duchi et al. 2011
    "RMSprop": Scaling("square_avg"),  # Tieleman and Hinton 2012
    "Adam": Scaling("exp_avg_sq", correction=_beginning_at_zero),  # Kingma and Ba 2015
    "AdamW": Scaling("exp_avg_sq", correction=_beginning_at_zero),  # Loshchilov and Hutter 2019; in torch also an Adam
    "NAdam": Scaling("exp_avg_sq", correction=_beginning_at_zero),  # Dozat 2016
}
"""By the optimizer's class, torch's or lit_dl's own; of others no rate is told."""


def scaling_of(optimizer: Optimizer) -> Scaling | None:
    """The scaling of the optimizer's class or of the class that it is derived from, as AdamW is from Adam."""
    if optimizer.defaults.get("centered"):
        return None  # RMSprop, which then divides by a standard deviation
    return next((SCALINGS[kind.__name__] for kind in type(optimizer).__mro__ if kind.__name__ in SCALINGS), None)


class _Scaled(NamedTuple):
    """A parameter whose gradient an optimizer scales."""

    row: int  # of its layer
    parameter: Tensor
    scaling: Scaling
    group: Group  # as it was before the step
    optimizer: Optimizer

    @property
    def state(self) -> Mapping[str, Any]:
        """What the optimizer keeps of it; empty before its first step."""
        return self.optimizer.state.get(self.parameter, {})

    @property
    def squares(self) -> Tensor | None:
        """The sum or mean of its squared gradients, of its shape; with amsgrad the largest mean so far."""
        name = self.scaling.state
        return None if name is None else self.state.get(f"max_{name}", self.state.get(name))


class RateMeter:
    """Tells what each layer's gradients were multiplied by in a step: its effective learning rate.

    An adaptive optimizer moves an entry by its gradient (with momentum: a mean of gradients, corrected for beginning at
    0) times rate / (sqrt(v) + eps), with v the sum (Adagrad) or mean (RMSprop, Adam) of its squared gradients. The
    layer's rate is the mean of these over its entries, each weighted by sqrt(v) + eps, as large as its gradients are:

        effective_lr = rate * n / sum_i (sqrt(v_i) + eps)        (the harmonic mean over n entries)

    so that entries which never have a gradient, with a rate of rate / eps, hardly count. Of SGD, with momentum or
    without, it is lr. Adagrad's never rises under a constant lr, as its sums only grow.

    Nothing waits for the device until its numbers are read.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._rows = {id(p): row for row, layer in enumerate(layers) for p in layer.parameters}
        self._layers = len(layers)
        self._scaled: list[_Scaled] = []
        self._roots: list[Handle | None] = []  # of each the sum of the roots of its squares, if it has any
        self._counts: list[Handle | float] = []  # steps that each has made

    def before(self, optimizers: Sequence[Optimizer]) -> None:
        """Remember the rates with which the step is made: schedulers change them before it is measured."""
        self._scaled = []
        for optimizer in optimizers:
            scaling = scaling_of(optimizer)
            if scaling is None:
                continue
            for group in optimizer.param_groups:
                options = {name: value for name, value in group.items() if name != "params"}
                mine = [p for p in group["params"] if p.grad is not None and id(p) in self._rows]
                self._scaled += [_Scaled(self._rows[id(p)], p, scaling, options, optimizer) for p in mine]

    def after(self, transfer: Transfer) -> None:
        """Measure what the step was made with, and let a transfer take it along."""
        self._scaled = [each for each in self._scaled if each.scaling.state is None or each.squares is not None]
        squares = [each.squares.detach() for each in self._scaled if each.squares is not None]
        roots = iter(sums_of_roots(squares))
        self._roots = [None if each.squares is None else transfer.add([next(roots)]) for each in self._scaled]
        counts = [_count(each.state.get("step", 1.0)) for each in self._scaled]
        self._counts = [transfer.add([count]) if isinstance(count, Tensor) else count for count in counts]

    def read(self) -> list[float | None]:
        """The effective rate of each layer, once the transfer was fetched.

        None where no scaling is known or nothing was stepped.
        """
        entries, inverse = [0] * self._layers, [0.0] * self._layers  # of rates, summed over the entries
        for each, root, count in zip(self._scaled, self._roots, self._counts, strict=True):
            size = each.parameter.numel()
            entries[each.row] += size
            steps = count if isinstance(count, float) else count.values[0]
            inverse[each.row] += _inverse_rates(each, 0.0 if root is None else root.values[0], steps, size)
        return [n / total if n and total else None for n, total in zip(entries, inverse, strict=True)]


def _inverse_rates(each: _Scaled, root: float, step: float, size: int) -> float:
    """The sum over a parameter's entries of 1 / rate, from the sum of the roots of its squares."""
    rate = each.scaling.rate(each.group, step)
    if rate == 0:
        return math.inf
    if each.scaling.state is None:
        return size / rate
    return (root / math.sqrt(each.scaling.correction(each.group, step)) + size * each.group["eps"]) / rate


def _count(step: Tensor | float) -> Tensor | float:
    """A number of steps, left where it is if reading it would wait for a device."""
    if isinstance(step, Tensor) and step.device.type != "cpu":
        return step.detach().reshape(())
    return float(step)


def rates_by_layer(layers: Sequence[Layer], optimizers: Sequence[Optimizer]) -> list[float | None]:
    """The learning rate that each layer has, where they differ; else, and where none has it, None."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    if len({float(group["lr"]) for group in groups}) < 2:
        return [None] * len(layers)
    rates = {id(p): float(group["lr"]) for group in groups for p in group["params"]}
    return [next((rates[id(p)] for p in layer.parameters if id(p) in rates), None) for layer in layers]


def step_rms(step: LayerStep) -> float | None:
    """Root mean square over a layer's entries of what the step added to them."""
    return step.change / math.sqrt(step.entries)


def step_max(step: LayerStep) -> float | None:
    """The most that the step moved any of a layer's entries.

    It is bounded, without weight decay and whatever the gradients: Adagrad's by lr, since g^2 is part of the sum;
    RMSprop's by lr / sqrt(1 - alpha), since (1 - alpha) g^2 is part of the mean: 10 lr with 0.99. Adam's is about lr
    for gradients as they mostly are and lr * (1 - b1) / sqrt(1 - b2) for one that comes once (Kingma and Ba 2015,
    section 2.1), 3.2 lr with 0.9 and 0.999; by Cauchy and Schwarz it is never above that over sqrt(1 - b1^2 / b2), 7.3
    lr, which gradients come near that grow by b2 / b1 in each step.
    """
    return step.largest


STEP_MEASURES: Mapping[str, Callable[[LayerStep], float | None]] = {"step_rms": step_rms, "step_max": step_max}


class StepHistory:
    """Effective rates, sizes of steps and the learning rate along a training, in bounded memory."""

    def __init__(self) -> None:
        self.layers: list[str] = []
        self._by_measure = {name: History() for name in ("effective_lr", *STEP_MEASURES)}

    def add(self, step: int, layers: Sequence[str], values: Mapping[str, Sequence[float | None]], lr: float) -> None:
        """Add what each layer's effective_lr, step_rms and step_max were in a step."""
        self.layers = list(layers)
        for name, history in self._by_measure.items():
            # A value of 0, of a layer that stands still, has no place on a logarithmic axis.
            row = [value or None for value in values[name]]
            history.add_layers(step, [*layers, "lr"], [*row, lr or None])

    def lines(self, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each layer, and last of the learning rate: steps and values there, both (n,)."""
        return [(steps, 10**logs) for steps, logs in self._by_measure[name].points()]

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on."""
        return {"layers": self.layers, **{name: history.state() for name, history in self._by_measure.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.layers = list(state["layers"])
        for name, history in self._by_measure.items():
            history.load(state[name])
