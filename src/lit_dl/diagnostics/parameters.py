"""What is measured on the parameters of a network: pure torch, no Lightning."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_dl.diagnostics.transfer import Handle, Transfer
from lit_dl.layers import Layer
from lit_dl.lightning_seams import copy_into, largest, norms, subtract_from


class LayerStep(NamedTuple):
    """What was read of one layer in one step of the optimizer, without its parameters that have no gradient.

    A layer's norm is the root of the sum of its parameters' squared norms.
    """

    entries: int  # scalar parameters with a gradient; without any, the layer has no values
    gradient: float  # L2 norm of the gradient, before clipping
    weight: float  # L2 norm of the parameters before the step
    change: float  # L2 norm of what the step really added to them
    clipped: float | None = None  # L2 norm of the gradient after clipping, if gradients are clipped
    nonzero: float | None = None  # gradient entries that are not exactly 0, if they were counted
    largest: float | None = None  # the most that the step added to an entry, if that was looked for


def grad_norm(step: LayerStep) -> float | None:
    """L2 norm of the gradient."""
    return step.gradient


def grad_rms(step: LayerStep) -> float | None:
    """Root mean square of the gradient's entries, norm / sqrt(entries): comparable between layers."""
    return step.gradient / math.sqrt(step.entries)


def grad_zeros(step: LayerStep) -> float | None:
    """Share of gradient entries that are exactly zero; None where they were not counted."""
    return None if step.nonzero is None else 1 - step.nonzero / step.entries


def weight_norm(step: LayerStep) -> float | None:
    """L2 norm of the parameters before the step."""
    return step.weight


def update_ratio(step: LayerStep) -> float | None:
    """RMS of the parameters' change in the step over the RMS of the parameters before it.

    It is taken from the parameters themselves, so that it is right for any optimizer, with momentum, weight decay and
    clipping. Parameters that are all zero give 0 while they stay so, and None where they change.
    """
    if step.change == 0:
        return 0.0
    return step.change / step.weight if step.weight else None


MEASURES: Mapping[str, Callable[[LayerStep], float | None]] = {
    measure.__name__: measure for measure in (grad_norm, grad_rms, grad_zeros, weight_norm, update_ratio)
}
"""By tag: each gives the value of a layer with entries, None where there is none."""


class StepMeter:
    """Takes a step of the optimizer apart: gradient and weights before it, the weights' change after it.

    Nothing waits for the device until its numbers are read. It holds a copy of the parameters.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self._owned = [(row, p) for row, layer in enumerate(layers) for p in layer.parameters]
        self._rows: list[int] = []  # the layer of each parameter that is measured
        self._parameters: list[Tensor] = []
        self._copies: list[Tensor] = []  # of the parameters before the step
        self._before: dict[str, list[Tensor]] = {}  # measures by name, of each parameter (), on the device
        self._sent: dict[str, Handle] = {}  # and those of the whole step, while a transfer has them

    def before(self, counts_zeros: bool = True) -> None:
        """Measure where the optimizer is about to step.

        Args:
            counts_zeros: count the gradient's zeros, which takes as long as two norms.
        """
        present = [(row, p) for row, p in self._owned if p.grad is not None]
        if len(present) != len(self._parameters):
            self._rows = [row for row, _ in present]
            self._copies = [torch.empty_like(p) for _, p in present]
        self._parameters = [p.detach() for _, p in present]
        self._before = {}
        if present:
            gradients = self._gradients()
            copy_into(self._copies, self._parameters)
            self._before = {"gradient": norms(gradients), "weight": norms(self._copies)}
            if counts_zeros:
                self._before["nonzero"] = [torch.count_nonzero(gradient) for gradient in gradients]

    def after(self, transfer: Transfer, clipped: bool = False, finds_largest: bool = False) -> None:
        """Measure what the step did, and let a transfer take all that was measured along.

        Args:
            transfer: brings the numbers over.
            clipped: whether the gradients have been clipped since ``before``.
            finds_largest: look for the largest change of an entry.
        """
        measured = dict(self._before)
        if self._parameters:
            subtract_from(self._copies, self._parameters)
            measured["change"] = norms(self._copies)
            if clipped:
                measured["clipped"] = norms(self._gradients())
            if finds_largest:
                measured["largest"] = largest(self._copies)
        self._sent = {name: transfer.add(scalars) for name, scalars in measured.items()}

    def read(self, scale: float = 1.0) -> list[LayerStep]:
        """What each layer did in the step, once the transfer was fetched.

        Args:
            scale: what the gradients were still multiplied by.
        """
        numbers = {name: handle.values for name, handle in self._sent.items()}
        entries = self._sums([p.numel() for p in self._parameters])
        names = ("gradient", "weight", "change", "clipped")
        norms_of = {name: self._norms(numbers[name]) for name in names if name in numbers}
        nonzero = self._sums(numbers["nonzero"]) if "nonzero" in numbers else None
        most = self._largest(numbers["largest"]) if "largest" in numbers else None
        return [
            LayerStep(
                int(entries[row]),
                norms_of["gradient"][row] / scale if norms_of else 0.0,
                norms_of["weight"][row] if norms_of else 0.0,
                norms_of["change"][row] if norms_of else 0.0,
                norms_of["clipped"][row] / scale if "clipped" in norms_of else None,
                None if nonzero is None else nonzero[row],
                None if most is None else most[row],
            )
            for row in range(len(self.layers))
        ]

    def is_finite(self) -> bool:
        """Whether the gradient, as ``before`` measured it, is finite. Waits for the device."""
        return all(math.isfinite(norm.item()) for norm in self._before.get("gradient", []))

    def gradient_rms(self) -> Tensor:
        """RMS gradient of each layer, (layers,), NaN where there is none; on the device."""
        present = [(row, p) for row, p in self._owned if p.grad is not None]
        if not present:
            return torch.full((len(self.layers),), math.nan)
        squares = torch.stack(norms(self._gradients())).square()
        index = torch.tensor([row for row, _ in present], device=squares.device)
        entries = torch.tensor([float(p.numel()) for _, p in present]).to(squares)
        zeros = squares.new_zeros(len(self.layers))
        return (zeros.index_add(0, index, squares) / zeros.index_add(0, index, entries)).sqrt()

    def _sums(self, numbers: Sequence[float]) -> list[float]:
        """Of each layer, from a number of each parameter that is measured."""
        sums = [0.0] * len(self.layers)
        for row, number in zip(self._rows, numbers, strict=True):
            sums[row] += number
        return sums

    def _norms(self, numbers: Sequence[float]) -> list[float]:
        return [math.sqrt(total) for total in self._sums([number**2 for number in numbers])]

    def _largest(self, numbers: Sequence[float]) -> list[float]:
        most = [0.0] * len(self.layers)
        for row, number in zip(self._rows, numbers, strict=True):
            most[row] = max(most[row], number)
        return most

    def _gradients(self) -> list[Tensor]:
        gradients = (p.grad for _, p in self._owned if p.grad is not None)
        return [g.coalesce().values() if g.is_sparse else g.detach() for g in gradients]


def non_finite(layers: Sequence[Layer]) -> tuple[int, list[str]]:
    """Number of gradient entries that are not finite, and the layers whose gradient or parameters are not."""
    entries = 0
    names = []
    for layer in layers:
        bad = [p.grad.numel() - int(p.grad.isfinite().sum()) for p in layer.parameters if p.grad is not None]
        entries += sum(bad)
        if sum(bad) or not all(bool(p.isfinite().all()) for p in layer.parameters):
            names.append(layer.name)
    return entries, names
