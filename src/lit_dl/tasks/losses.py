"""Losses that torch has not in the form that classes and numbers share."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

LINKS: Mapping[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda outputs: outputs,
    "sigmoid": torch.sigmoid,
    "softmax": partial(torch.softmax, dim=1),
}


class SquaredError(nn.Module):
    """Mean over samples and outputs of (link(output) - target)^2.

    Targets that are classes become 1 for the class and 0 for the others (one-hot); with a single output, 1 for class 1
    and 0 for class 0.

    Args:
        link: what the outputs pass through first: nothing, ``"sigmoid"`` (each output by itself) or ``"softmax"``.

    Shapes: outputs (B, C), classes (B,) int64 or targets (B, C) float, to ().

    Raises:
        ValueError: for an unknown link, or targets of another shape than the outputs.
    """

    def __init__(self, link: Literal["sigmoid", "softmax"] | None = None) -> None:
        super().__init__()
        if link not in LINKS:
            raise ValueError(f"link is {link!r}; it must be sigmoid, softmax or null")
        self.link = link
        self.threshold = 0.5 if link is None else 0.0  # from which on a single output says class 1

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, ()."""
        return mse_loss(LINKS[self.link](outputs), _as_outputs(targets, outputs))


class BinaryCrossEntropy(nn.Module):
    """Mean over samples and outputs of -t log p - (1 - t) log(1 - p) with p = sigmoid(output), each output by itself.

    t is 1 for the class and 0 for the others; with a single output, which is logistic regression, the class itself.

    Shapes: outputs (B, C), classes (B,) int64, to ().
    """

    threshold = 0.0  # of a single output, where its sigmoid is one half

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, ()."""
        return binary_cross_entropy_with_logits(outputs, _as_outputs(labels, outputs))


def threshold_of(loss: object) -> float:
    """Above which a single output says class 1: where a loss has one, its ``threshold``; else 0, as of a logit."""
    return float(getattr(loss, "threshold", 0.0))


def compares_outputs(loss: object) -> bool:
    """Whether a loss sets each output against the others, so that it needs at least two."""
    return isinstance(loss, nn.CrossEntropyLoss) or getattr(loss, "link", None) == "softmax"


def check_for_numbers(loss: object) -> None:
    """Raise a ValueError for a loss, or a link of one, that is for classes."""
    if isinstance(loss, nn.CrossEntropyLoss | BinaryCrossEntropy):
        raise ValueError(f"{type(loss).__name__} is for classes, but this data set has numbers. Take loss=mse")
    if (link := getattr(loss, "link", None)) is not None:
        raise ValueError(f"link is {link!r}, which is for classes, but this data set has numbers")


def classes_of(outputs: Tensor, threshold: float = 0.0) -> Tensor:
    """Classes, (B,) int64, of outputs (B, C): that of the largest, or 1 where a single one is above the threshold."""
    return (outputs[:, 0] > threshold).long() if outputs.shape[1] == 1 else outputs.argmax(dim=1)


def _as_outputs(targets: Tensor, outputs: Tensor) -> Tensor:
    """Targets in the shape of the outputs; classes become one-hot, or stay 0 and 1 for a single output."""
    if targets.is_floating_point():
        if targets.shape != outputs.shape:
            raise ValueError(f"outputs of shape {tuple(outputs.shape)} for targets of shape {tuple(targets.shape)}")
        return targets
    labels = targets.unsqueeze(1)
    return labels.to(outputs) if outputs.shape[1] == 1 else torch.zeros_like(outputs).scatter_(1, labels, 1.0)
