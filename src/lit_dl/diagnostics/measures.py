"""What is measured on a network: pure torch, no Lightning."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Layer(NamedTuple):
    """A module that owns parameters."""

    name: str  # number in order of depth and kind, such as 01_linear
    parameters: list[nn.Parameter]  # those it owns itself, each counted in the first layer that has it


def layers_of(network: nn.Module) -> list[Layer]:
    """The layers of a network in the order in which they were registered; a shared parameter counts once.

    Frozen ones are among them, since they may be trained later.
    """
    seen: set[int] = set()
    layers: list[Layer] = []
    for module in network.modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        if own:
            layers.append(Layer(f"{len(layers) + 1:02d}_{type(module).__name__.lower()}", own))
    return layers


def gradient_norms(layers: list[Layer]) -> Tensor:
    """L2 norm of each layer's gradient, (len(layers),), on the device. A missing gradient counts as zero.

    A layer's norm is the root of the sum of its parameters' squared norms, so that the norms of all layers give the
    total norm in the same way.
    """
    parameters = [p for layer in layers for p in layer.parameters]
    present = [p.grad.detach() for p in parameters if p.grad is not None]
    if not present:
        return torch.zeros(len(layers))
    squares = torch.stack(torch._foreach_norm(present)).float().square()
    rows = [row for row, layer in enumerate(layers) for p in layer.parameters if p.grad is not None]
    index = torch.tensor(rows, device=squares.device)
    return squares.new_zeros(len(layers)).index_add_(0, index, squares).sqrt()


def entries(layer: Layer) -> int:
    """Number of scalar parameters of a layer that have a gradient; 0 where it is frozen."""
    return sum(p.numel() for p in layer.parameters if p.grad is not None)
