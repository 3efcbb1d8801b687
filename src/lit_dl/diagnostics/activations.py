"""What is measured on the activations while a network trains: pure torch, no Lightning."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lit_dl.diagnostics.transfer import Transfer
from lit_dl.diagnostics.watched_activation import ENOUGH, WatchedActivation
from lit_dl.layers import Layer, is_activation, kind_of, layers_of, owns_parameters
from lit_dl.lightning_seams import HALF


class ActivationStatistics(NamedTuple):
    """What was read of one activation. None: does not apply to its kind."""

    name: str  # number of the layer before it and kind, such as 01_relu
    mean: float
    std: float
    saturated: float | None  # share of outputs
    dead: float | None  # share of units that gave 0 for every sample since it was read before
    long_dead: float | None  # in the last ENOUGH samples or more; None also until so many were seen


class ForwardWatch:
    """Sees each forward pass of a network in training: the order of its layers, and its activations.

    Activations are modules of torch's kinds (``nn.ReLU``, ``nn.Tanh``, ..., and subclasses); functions such as
    ``torch.relu`` cannot be seen. A module that is called after several layers counts once for each. Mean, standard
    deviation and saturated share are over all outputs of a batch. A unit is a feature, or after a convolution a
    channel; one of a ReLU is dead when it gave 0 for every sample, at every position.

    Args:
        network: the hooks stay on it until ``close``.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.seconds = 0.0  # that the hooks took
        self.layers: list[Layer] = []  # in order of use; known after the first pass
        self._watching = self._measuring = self._keeping = False
        self._order: dict[nn.Module, None] = {}  # layers in order of first use
        self._now: nn.Module | None = None  # the layer that ran last
        self._activations: dict[tuple[nn.Module | None, nn.Module, int, int], WatchedActivation] = {}
        self._only: dict[nn.Module, WatchedActivation] = {}  # of modules that stand for one activation alone
        self._measured: list[WatchedActivation] = []  # those whose numbers were taken last
        self._names: list[str] = []  # their names
        self._restored: Mapping[str, Any] = {}  # what is to be gone on from, by name, until the first pass
        layers = [module for module in network.modules() if owns_parameters(module) and not is_activation(module)]
        activations = [module for module in network.modules() if is_activation(module)]
        self._layer_hooks = [module.register_forward_hook(self._see_layer) for module in layers]
        self._hooks: list[RemovableHandle] = [module.register_forward_hook(self._see) for module in activations]

    def begin(self, measuring: bool, keeping: bool = False) -> None:
        """Watch a forward pass.

        Args:
            measuring: take mean, standard deviation and saturated share of its activations.
            keeping: and keep a copy of them, for ``outputs``.
        """
        self._watching, self._measuring, self._keeping, self._now = True, measuring, keeping, None

    def end(self) -> None:
        """Watch no more until the next ``begin``; after the first pass the layers are known."""
        self._watching = False
        if self.layers:
            return
        self.layers = layers_of(self.network, list(self._order))
        uses = Counter(module for _, module, _, _ in self._activations)
        if all(count == 1 for count in uses.values()):  # so an activation is known without the layer before it
            self._only = {each.module: each for each in self._activations.values()}
            self._remove(self._layer_hooks)
        for name, each in self._named().items():
            if name in self._restored:
                each.load(self._restored[name])

    def state(self) -> dict[str, Any]:
        """Primitives and tensors, from which ``load`` goes on: what was seen since it was read."""
        return {name: each.state() for name, each in self._named().items()} if self.layers else {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave, before the first pass."""
        self._restored = state

    def close(self) -> None:
        """Take the hooks off the network."""
        self._remove(self._layer_hooks)
        self._remove(self._hooks)

    def send(self, transfer: Transfer) -> None:
        """Let a transfer take the numbers of all activations along; counting of dead units starts anew."""
        measured = [each for each in self._activations.values() if each.taken]
        if measured != self._measured:
            self._measured, self._names = measured, self._name(measured)
        for each in measured:
            each.sent = transfer.add_named({**each.taken, **each.count_answers()})
            each.taken = {}

    def read(self) -> list[ActivationStatistics]:
        """What the transfer brought, of each activation."""
        return [_statistics(name, each) for name, each in zip(self._names, self._measured, strict=True)]

    def outputs(self) -> dict[str, Tensor]:
        """The outputs that were kept of the activations measured last, by name; they are let go."""
        kept = {name: each.output for name, each in zip(self._names, self._measured, strict=True)}
        for each in self._measured:
            each.output = None
        return {name: output for name, output in kept.items() if output is not None}

    @torch.no_grad()
    def first_non_finite(self, inputs: Any) -> str | None:
        """The first layer whose output is not finite when the inputs pass again; None if there is none.

        Also None if the network cannot be called with them.
        """
        found: list[str] = []

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            output = _tensor(output)
            if output is not None and module in names and not output.isfinite().all():
                found.append(names[module])

        names = {layer.module: layer.name for layer in self.layers}
        hooks = [module.register_forward_hook(look) for module in names]
        with suppress(Exception), torch.random.fork_rng(devices=[]):  # the network may be anybody's
            self.network(inputs)
        self._remove(hooks)
        return found[0] if found else None

    def _see_layer(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._watching:
            self._order.setdefault(module)
            self._now = module

    def _see(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if not self._watching:
            return
        begun = time.perf_counter()
        each = self._only.get(module)
        if each is None or output.dim() != each.dims or output.size(each.axis) != each.units:
            each = self._find(module, output)
        if each is not None:
            if each.is_mortal:
                each.add(output.detach())
            if self._measuring:
                self._measure(each, output.detach())
        self.seconds += time.perf_counter() - begun

    def _find(self, module: nn.Module, output: Tensor) -> WatchedActivation | None:
        """The activation that the module stands for after the layer that ran last."""
        if owns_parameters(module):  # PReLU is a layer too
            self._see_layer(module, None, output)
        if output.dim() < 2:
            return None
        found = WatchedActivation(module, self._now, output)
        return self._activations.setdefault((self._now, module, found.dims, found.units), found)

    def _measure(self, each: WatchedActivation, output: Tensor) -> None:
        # Mean, norm of the deviations (torch.std takes ten times as long), numbers below and above the bounds.
        mean = output.mean(dtype=torch.float32 if output.dtype in HALF else None)
        each.taken = {"mean": mean, "deviation": torch.linalg.vector_norm(output - mean)}
        if each.bounds is not None:
            low, high = each.bounds
            each.taken |= {"below": torch.count_nonzero(output < low), "above": torch.count_nonzero(output > high)}
        each.size = output.numel()
        each.output = output.clone() if self._keeping else None

    def _named(self) -> dict[str, WatchedActivation]:
        activations = list(self._activations.values())
        return dict(zip(self._name(activations), activations, strict=True))

    def _name(self, activations: Sequence[WatchedActivation]) -> list[str]:
        number = {layer.module: layer.name.partition("_")[0] for layer in self.layers}
        names, seen = [], Counter[str]()
        for each in activations:
            name = f"{number.get(each.after, '00') if each.after else '00'}_{kind_of(each.module)}"
            seen[name] += 1
            names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
        return names

    @staticmethod
    def _remove(hooks: list[RemovableHandle]) -> None:
        for hook in hooks:
            hook.remove()
        hooks.clear()


def _tensor(output: Any) -> Tensor | None:
    output = output[0] if isinstance(output, tuple | list) and output else output  # an LSTM gives a tuple
    return output if isinstance(output, Tensor) else None


def _statistics(name: str, each: WatchedActivation) -> ActivationStatistics:
    numbers = each.sent
    assert numbers is not None, "call send() first"
    mean, std = numbers["mean"], numbers["deviation"] / each.size**0.5
    saturated = dead = long_dead = None
    if each.bounds is not None:
        saturated = (numbers["below"] + numbers["above"]) / each.size
    if each.is_mortal:
        dead, long_dead = 1 - numbers["answered"] / each.units, 1 - numbers["answered_long"] / each.units
        if each.samples >= ENOUGH:
            each.long_dead, each.long_sum, each.samples = long_dead, None, 0
        long_dead = each.long_dead
    return ActivationStatistics(name, mean, std, saturated, dead, long_dead)
