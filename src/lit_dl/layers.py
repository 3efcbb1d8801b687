"""What a layer is, and in which order layers are used: torch alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
CHANNEL_NORMS = (*BATCH_NORMS, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)  # of (B, channels, ...)
NORMS = (*CHANNEL_NORMS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


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
        network: whose layers they are.
        order: modules in order of use. One that is not among them comes after that which was registered before it.
    """
    modules = owners_of_parameters(network)
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


def owns_parameters(module: nn.Module) -> bool:
    """Whether a module has parameters that are not those of a submodule."""
    return next(module.parameters(recurse=False), None) is not None


def owners_of_parameters(network: nn.Module) -> list[nn.Module]:
    """The modules that have parameters of their own, in order of registration."""
    return [module for module in network.modules() if owns_parameters(module)]


def kind_of(module: nn.Module) -> str:
    """Its class, in lower case; of torch's own the public one."""
    kinds = type(module).__mro__
    return next(
        k.__name__.lower() for k in kinds if not k.__module__.startswith("torch.nn.") or hasattr(nn, k.__name__)
    )


def is_activation(module: nn.Module) -> bool:
    """Whether a module is one of torch's activations, or derived from one."""
    kinds = [kind for kind in type(module).__mro__ if kind.__module__ == "torch.nn.modules.activation"]
    return bool(kinds) and not isinstance(module, nn.MultiheadAttention)


def order_of_use(network: nn.Module, in_shape: Sequence[int]) -> list[nn.Module]:
    """The modules with parameters of their own, in the order in which a batch first passes them.

    Args:
        network: takes (B, *in_shape).
        in_shape: shape of a sample.
    """
    order: dict[nn.Module, None] = {}
    owners = owners_of_parameters(network)
    with evaluating(network), looking_at(owners, lambda module, inputs, output: order.setdefault(module)):
        network(torch.zeros(2, *in_shape))
    return list(order)


@contextmanager
def looking_at(modules: Sequence[nn.Module], look: Callable[[nn.Module, Any, Any], object]) -> Iterator[None]:
    """Call ``look(module, inputs, output)`` after each of these modules' passes for a while, without gradients."""

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        look(module, inputs, output)

    hooks = [module.register_forward_hook(hook) for module in modules]
    try:
        with torch.no_grad():
            yield
    finally:
        for handle in hooks:
            handle.remove()


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
