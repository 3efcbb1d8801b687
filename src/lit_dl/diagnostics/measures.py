"""What is measured on the parameters of a network: pure torch, no Lightning."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

HALF = (torch.float16, torch.bfloat16)


class Layer(NamedTuple):
    """A module that owns parameters."""

    name: str  # number in order of depth and kind, such as 01_linear
    module: nn.Module
    parameters: list[nn.Parameter]  # those it owns itself, each counted in the first layer that has it

    @property
    def is_compared(self) -> bool:
        """Whether its gradient is compared with other layers': it maps features by weights that every sample uses.

        Biases alone, normalisation and embeddings (whose rows most samples leave alone) have gradients of another size.
        """
        return not isinstance(self.module, nn.Embedding | nn.EmbeddingBag) and any(p.dim() > 1 for p in self.parameters)


def layers_of(network: nn.Module, order: Sequence[nn.Module] = ()) -> list[Layer]:
    """The layers of a network; a shared parameter counts once, in the first layer that has it.

    Frozen ones are among them, since they may be trained later.

    Args:
        order: modules in order of use. One that is not among them comes after that which was registered before it.
    """
    modules = [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]
    rank = {module: number for number, module in enumerate(order)}
    places: dict[nn.Module, tuple[int, int]] = {}
    last = -1
    for number, module in enumerate(modules):
        last = rank.get(module, last)
        places[module] = (last, 0 if module in rank else number + 1)
    seen: set[int] = set()
    layers: list[Layer] = []
    for module in sorted(modules, key=places.__getitem__):
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        if own:
            layers.append(Layer(f"{len(layers) + 1:02d}_{kind_of(module)}", module, own))
    return layers


def kind_of(module: nn.Module) -> str:
    """Its class, in lower case; of torch's own the public one."""
    kinds = type(module).__mro__
    return next(
        k.__name__.lower() for k in kinds if not k.__module__.startswith("torch.nn.") or hasattr(nn, k.__name__)
    )


def norms(tensors: Sequence[Tensor], order: float = 2) -> list[Tensor]:
    """Norm of each tensor, (); of half precision in float32. On the device."""
    if any(tensor.dtype in HALF for tensor in tensors):
        return list(torch._foreach_norm(list(tensors), order, torch.float32))
    return list(torch._foreach_norm(list(tensors), order))


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
        self._taken: list[Tensor] = []  # the measures so far, each ()
        self._counts_zeros = False
        self._clipped = self._finds_largest = False

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
        self._counts_zeros = counts_zeros
        self._taken = []
        if present:
            gradients = self._gradients()
            torch._foreach_copy_(self._copies, self._parameters)
            zeros = [torch.count_nonzero(gradient) for gradient in gradients] if counts_zeros else []
            self._taken = [*norms(gradients), *norms(self._copies), *zeros]

    def after(self, clipped: bool = False, finds_largest: bool = False) -> list[Tensor]:
        """Measure what the step did; everything that was measured, as scalars still on the device.

        Args:
            clipped: whether the gradients have been clipped since ``before``.
            finds_largest: look for the largest change of an entry.
        """
        self._clipped, self._finds_largest = clipped, finds_largest
        if not self._parameters:
            return []
        torch._foreach_sub_(self._copies, self._parameters)
        largest = norms(self._copies, order=math.inf) if finds_largest else []
        return [*self._taken, *norms(self._copies), *(norms(self._gradients()) if clipped else []), *largest]

    def read(self, numbers: Iterator[float], scale: float = 1.0) -> list[LayerStep]:
        """What each layer did in the step, from the numbers that ``after`` gave, brought to the CPU.

        Args:
            scale: what the gradients were still multiplied by.
        """
        gradients, weights = self._norms(numbers), self._norms(numbers)
        nonzero = self._sums(numbers) if self._counts_zeros else None
        changes = self._norms(numbers)
        clipped = self._norms(numbers) if self._clipped else None
        largest = self._largest(numbers) if self._finds_largest else None
        entries = self._sums(p.numel() for p in self._parameters)
        return [
            LayerStep(
                int(entries[row]),
                gradients[row] / scale,
                weights[row],
                changes[row],
                None if clipped is None else clipped[row] / scale,
                None if nonzero is None else nonzero[row],
                None if largest is None else largest[row],
            )
            for row in range(len(self.layers))
        ]

    def is_finite(self) -> bool:
        """Whether the gradient, as ``before`` measured it, is finite. Waits for the device."""
        return all(math.isfinite(norm.item()) for norm in self._taken[: len(self._parameters)])

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

    def _sums(self, numbers: Iterator[float]) -> list[float]:
        """Of each layer, from the next numbers, of which each parameter has one."""
        sums = [0.0] * len(self.layers)
        for row, number in zip(self._rows, numbers, strict=False):  # stops at the rows' end
            sums[row] += number
        return sums

    def _norms(self, numbers: Iterator[float]) -> list[float]:
        return [math.sqrt(total) for total in self._sums(number**2 for number in islice(numbers, len(self._rows)))]

    def _largest(self, numbers: Iterator[float]) -> list[float]:
        each = list(zip(self._rows, numbers, strict=False))  # stops at the rows' end
        return [max((number for at, number in each if at == row), default=0.0) for row in range(len(self.layers))]

    def _gradients(self) -> list[Tensor]:
        gradients = (p.grad for _, p in self._owned if p.grad is not None)
        return [g.coalesce().values() if g.is_sparse else g.detach() for g in gradients]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; then each module has the mode it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def to_cpu(numbers: Sequence[Tensor]) -> list[float]:
    """Scalars (), all on one device, as numbers: one transfer."""
    if not numbers or numbers[0].device.type == "cpu":
        return [number.item() for number in numbers]
    return torch.stack([number.float() for number in numbers]).tolist()


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
