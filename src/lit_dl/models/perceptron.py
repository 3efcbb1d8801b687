"""One unit."""

import math
from collections.abc import Callable, Sequence

from torch import nn


class Perceptron(nn.Sequential):
    """One unit, z = w x + b, that tells two classes apart: sigmoid(z) is the probability of class 1.

    Where z > 0 the answer is class 1 (Rosenblatt, "The perceptron", 1958); with the sigmoid it is logistic regression.
    The sigmoid is part of the loss, such as ``nn.BCEWithLogitsLoss``, so the net gives z.

    Args:
        in_shape: shape of a sample; it is flattened.
        out_features: number of classes, 2.
        activation: not used: there is no hidden layer.

    Shapes: (B, *in_shape) to (B, 1).

    Raises:
        ValueError: for another number of classes than two.
    """

    def __init__(
        self, in_shape: Sequence[int], out_features: int, activation: Callable[[], nn.Module] | None = None
    ) -> None:
        if out_features != 2:
            raise ValueError(
                f"one unit tells two classes apart, and this data set asks for {out_features} outputs. "
                "Try model=mlp model.hidden=[]"
            )
        super().__init__(nn.Flatten(), nn.Linear(math.prod(in_shape), 1))
