"""The layers of a network as a table."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Row(NamedTuple):
    """One layer: its name and kind, the shape of its output without the batch, its number of parameters."""

    name: str
    shape: str
    parameters: int


@torch.no_grad()
def layer_table(network: nn.Module, in_shape: Sequence[int]) -> list[Row]:
    """The leaves of a network in the order in which a batch passes them.

    Args:
        in_shape: shape of a sample. A batch of two zeros is passed through the network in evaluation mode.
    """
    rows: list[Row] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shape = "x".join(str(side) for side in output.shape[1:])
        rows.append(Row(_describe(module), shape, sum(p.numel() for p in module.parameters())))

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    was_training = network.training
    try:
        network.eval()(torch.zeros(2, *in_shape))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return rows


def _describe(module: nn.Module) -> str:
    """The kind, and for a convolution or pooling its window."""
    name = type(module).__name__
    if isinstance(module, nn.Conv2d):
        return f"{name} {module.kernel_size[0]}x{module.kernel_size[1]}"
    if isinstance(module, nn.Dropout):
        return f"{name} {module.p:g}"
    return name
