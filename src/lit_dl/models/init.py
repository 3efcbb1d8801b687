"""Weight initialisation for any network."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def initialize(network: nn.Module, init: Callable[[Tensor], object] | None) -> None:
    """Set each weight of two or more dimensions by ``init`` and the bias beside it to zero, in place.

    Weights of one dimension (of normalisation layers and PReLU) keep what their layer gave them.

    Args:
        init: such as ``torch.nn.init.kaiming_normal_``; None leaves the network as it is.
    """
    if init is None:
        return
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.dim() >= 2:
            _set(weight, init)
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                bias.zero_()


def _set(weight: Tensor, init: Callable[[Tensor], object]) -> None:
    """Let ``init`` set a weight; through a copy where it needs rows, which weights in channels_last order have not."""
    try:
        init(weight)
    except RuntimeError:  # of orthogonal_; for the others a copy would be filled in another order
        if weight.is_contiguous():
            raise
        copy = weight.contiguous()
        init(copy)
        weight.copy_(copy)
