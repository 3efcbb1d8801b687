"""A net that uses one layer several times."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lit_dl.models.mlp import check_widths

MOST_USES = 10_000  # of the shared layer: a batch passes each, one after the other


class SharedMLP(nn.Module):
    """An MLP whose hidden layers after the first are one and the same.

    h0 = activation(W x + b), h1 = activation(V h0 + c), h2 = activation(V h1 + c), ..., and a linear layer at the end.
    V and c are parameters once, however often they are used, and their gradient is the sum over the uses.

    Args:
        in_shape: shape of a sample; it is flattened.
        out_features: number of outputs: one logit per class, or one value per target.
        width: of the hidden layers.
        depth: how often the shared layer is used.
        activation: makes the activation of one use of a layer; called once a use.
        dropout: probability of dropping a hidden unit in training.

    Shapes: (B, *in_shape) to (B, out_features).

    Raises:
        ValueError: for a width or a depth that is not a positive whole number.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        width: int = 100,
        depth: int = 3,
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_widths("width", [width])
        check_widths("depth", [depth], most=MOST_USES)
        self.flatten = nn.Flatten()
        self.first = nn.Linear(math.prod(in_shape), width)
        self.shared = nn.Linear(width, width)
        self.last = nn.Linear(width, out_features)
        self.activations = nn.ModuleList(activation() for _ in range(1 + depth))
        self.dropout = nn.Dropout(dropout) if dropout > 0 else None

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, out_features)."""
        hidden = self.first(self.flatten(inputs))
        for use, activation in enumerate(self.activations):
            hidden = activation(hidden if use == 0 else self.shared(hidden))
            if self.dropout is not None:
                hidden = self.dropout(hidden)
        return self.last(hidden)
