"""The multilayer perceptron."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

from lit_dl.errors import check_choice, wrong_count

NORM_KINDS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class MLP(nn.Sequential):
    """Dense layers with an activation between them.

    Each hidden layer is h = dropout(activation(norm(W x + b))); the last layer is W x + b. With no
    hidden layers it is softmax regression.

    Args:
        in_shape: shape of a sample; it is flattened.
        out_features: number of outputs: one logit per class, or one value per target.
        hidden: widths of the hidden layers.
        activation: makes the activation of one layer; called once a layer.
        norm: normalisation before each activation: over the batch, over the layer's units, or none.
        dropout: probability of dropping a hidden unit in training.

    Shapes: (B, *in_shape) to (B, out_features).

    Raises:
        ValueError: for a width that is not a positive whole number, or an unknown norm.

    Example:
        >>> MLP((2,), 3, hidden=[100])
        MLP(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): Linear(in_features=2, out_features=100, bias=True)
          (2): ReLU()
          (3): Linear(in_features=100, out_features=3, bias=True)
        )
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        hidden: Sequence[int] = (200, 200),
        activation: Callable[[], nn.Module] = nn.ReLU,
        norm: Literal["batch", "layer"] | None = None,
        dropout: float = 0.0,
    ) -> None:
        check_widths("hidden", hidden)
        if norm is not None:
            check_choice("norm", norm, (*NORM_KINDS, "null"))
        widths = (math.prod(in_shape), *hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width in pairwise(widths):
            layers.append(nn.Linear(width_in, width))
            if norm is not None:
                layers.append(NORM_KINDS[norm](width))
            layers.append(activation())
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers, nn.Linear(widths[-1], out_features))


def check_widths(name: str, widths: Sequence[int], most: int | None = None) -> None:
    """Raise a ValueError unless ``widths`` is a sequence of whole numbers from 1 up, or to ``most``."""
    if isinstance(widths, str) or not isinstance(widths, Sequence):
        raise ValueError(f"{name} is {widths!r}; it must be a list of widths, such as [200,200], or [] for none")
    for width in widths:
        if wrong := wrong_count(width, most=most):
            raise ValueError(f"{name} is {list(widths)}; of {width!r} in it, {wrong}")
