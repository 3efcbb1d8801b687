"""A step repeated with an eye on every layer: how large its values get, and which of them are not finite."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lit_dl.layers import kind_of, layers_of, owns_parameters
from lit_dl.lightning_seams import tree_leaves


class Extent(NamedTuple):
    """How large values are."""

    largest: float  # magnitude among the finite ones; 0 where there are none
    bad: int  # entries that are not finite
    entries: int

    @property
    def share(self) -> float:
        """Of the entries, those that are not finite."""
        return self.bad / self.entries if self.entries else 0.0


@dataclass
class Row:
    """One use of a layer, in the order of use; what it does not have is None."""

    module: nn.Module | None  # None: the loss
    name: str = ""  # known once the whole pass is over
    inputs: Extent | None = None
    outputs: Extent | None = None
    gradient: Extent | None = None  # of the loss with respect to the outputs
    weights: Extent | None = None  # and with respect to the parameters that the layer owns itself


class Place(NamedTuple):
    """Where something is first not finite."""

    row: int
    part: str  # of the row, by its field
    words: str  # what part that is, in words
    extent: Extent


@dataclass
class Sight:
    """What was seen of one pass."""

    loss: Tensor  # (), as training had it
    rows: list[Row] = field(default_factory=list)
    first: Place | None = None  # None where everything is finite


def extent_of(value: Any) -> Extent | None:
    """Of all floating-point tensors in ``value``; None if there are none."""
    parts = [t.detach() for t in tree_leaves(value) if isinstance(t, Tensor) and t.is_floating_point()]
    if not parts:
        return None
    finite = [part.isfinite() for part in parts]
    largest = max(
        float(part[mask].abs().max()) if mask.any() else 0.0 for part, mask in zip(parts, finite, strict=True)
    )
    bad = sum(int(mask.numel() - mask.sum()) for mask in finite)
    return Extent(largest, bad, sum(part.numel() for part in parts))


class Watcher:
    """Looks at each use of a network's layers, forward and backward.

    Layers are the modules that own parameters or have no submodules. Tensors are looked at when they are made, before
    what works in place can change them.

    Args:
        network: that is looked at while ``watching``.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.rows: list[Row] = []
        self.first: Place | None = None
        self._open: list[int] = []  # rows whose modules are at work
        self._used: set[nn.Module] = set()  # modules that were called
        self._on_parameters: list[RemovableHandle] = []  # hooks, until the backward pass is over

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at what happens in the block; names are known after it."""
        modules = [each for each in self._network.modules() if owns_parameters(each) or not list(each.children())]
        hooks: list[RemovableHandle] = []
        for each in modules:
            hooks.append(each.register_forward_pre_hook(self._before, with_kwargs=True))
            hooks.append(each.register_forward_hook(self._after))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        self._name()

    def see_loss(self, loss: Tensor) -> None:
        """Look at the loss, and from now on at gradients."""
        self.rows.append(Row(None, "loss", outputs=extent_of(loss)))
        self._note(len(self.rows) - 1, "outputs", "the loss")

    def close(self) -> None:
        """Look at gradients no more."""
        for hook in self._on_parameters:
            hook.remove()

    def _before(self, module: nn.Module, inputs: Any, named: Any) -> None:
        row = len(self.rows)
        self.rows.append(Row(module, inputs=extent_of((inputs, named))))
        self._open.append(row)
        self._note(row, "inputs", "the input of")
        if module not in self._used:  # a layer that is used again gets the sum of its gradients where it came first
            self._used.add(module)
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.requires_grad:
                    look = partial(self._see_weights, row, name)
                    self._on_parameters.append(parameter.register_hook(look))  # type: ignore[no-untyped-call]  # torch's

    def _after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        row = self._open.pop()
        self.rows[row].outputs = extent_of(output)
        self._note(row, "outputs", "the output of")
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                tensor.register_hook(partial(self._see_gradient, row))  # type: ignore[no-untyped-call]  # torch's

    def _see_gradient(self, row: int, gradient: Tensor) -> None:
        self.rows[row].gradient = _joined(self.rows[row].gradient, extent_of(gradient))
        self._note(row, "gradient", "the gradient of the output of")

    def _see_weights(self, row: int, name: str, gradient: Tensor) -> None:
        self.rows[row].weights = _joined(self.rows[row].weights, extent_of(gradient))
        self._note(row, "weights", f"the gradient of the {name} of")

    def _note(self, row: int, part: str, words: str) -> None:
        extent: Extent | None = getattr(self.rows[row], part)
        if self.first is None and extent is not None and extent.bad:
            self.first = Place(row, part, words, extent)

    def _name(self) -> None:
        """Layers as everywhere in lit_dl, 02_linear; what owns no parameters by the number of the layer before it."""
        used = [row.module for row in self.rows if row.module is not None]
        names = {layer.module: layer.name for layer in layers_of(self._network, list(dict.fromkeys(used)))}
        number, seen = "00", Counter[str]()
        for row in self.rows:
            if row.module is None:
                continue
            name = names.get(row.module)
            number = number if name is None else name.partition("_")[0]
            name = f"{number}_{kind_of(row.module)}" if name is None else name
            seen[name] += 1
            row.name = name if seen[name] == 1 else f"{name}_{seen[name]}"


def repeat_pass(network: nn.Module, objective: Callable[[], Tensor], accumulated: int = 1) -> Sight:
    """Make a forward and a backward pass, and look at both.

    Args:
        network: whose layers are looked at; its parameters' gradients are left as the pass makes them.
        objective: calls the network and gives the loss, ().
        accumulated: batches to a step, by whose number the loss is divided.
    """
    for parameter in network.parameters():
        parameter.grad = None
    watcher = Watcher(network)
    with watcher.watching():
        loss = objective() / accumulated
    watcher.see_loss(loss)
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
    watcher.close()
    return Sight(loss.detach(), watcher.rows, watcher.first)


def not_finite(tensors: dict[str, Tensor]) -> dict[str, Extent]:
    """Of named tensors those with entries that are not finite."""
    extents = {name: extent_of(tensor) for name, tensor in tensors.items()}
    return {name: extent for name, extent in extents.items() if extent is not None and extent.bad}


def _joined(one: Extent | None, other: Extent | None) -> Extent | None:
    """Both together: a layer has several parameters and may have several outputs."""
    both: Sequence[Extent] = [each for each in (one, other) if each is not None]
    if not both:
        return None
    return Extent(max(e.largest for e in both), sum(e.bad for e in both), sum(e.entries for e in both))
