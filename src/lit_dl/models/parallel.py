"""Two linear maps side by side."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lit_dl.models.mlp import check_widths


class ParallelBlock(nn.Module):
    """Two linear maps of the same input, multiplied elementwise: activation((W1 x + b1) * (W2 x + b2)).

    Args:
        in_features, out_features: of each map.
        activation: makes the activation; ReLU clamps the product at 0.

    Shapes: (B, in_features) to (B, out_features).
    """

    def __init__(self, in_features: int, out_features: int, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, out_features)
        self.second = nn.Linear(in_features, out_features)
        self.activation = activation()

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, out_features)."""
        return self.activation(self.first(inputs) * self.second(inputs))


class ParallelNet(nn.Sequential):
    """A two-layer net whose hidden layer is a ``ParallelBlock``.

    Args:
        in_shape: shape of a sample; it is flattened.
        out_features: number of outputs: one logit per class, or one value per target.
        width: of the hidden layer.
        activation: makes the activation of the block.
        dropout: probability of dropping a hidden unit in training.

    Shapes: (B, *in_shape) to (B, out_features).

    Raises:
        ValueError: for a width that is not a positive whole number.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        width: int = 100,
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        check_widths("width", [width])
        layers: list[nn.Module] = [nn.Flatten(), ParallelBlock(math.prod(in_shape), width, activation)]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        super().__init__(*layers, nn.Linear(width, out_features))
