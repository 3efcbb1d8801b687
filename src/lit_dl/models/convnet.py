"""What convolutional nets share: layers that see windows of an image, then dense layers."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lit_dl.devices import check_memory
from lit_dl.models.mlp import MLP
from lit_dl.models.windows import WINDOWED, output_sides


class ConvNet(nn.Module):
    """Convolutions and poolings, ``features``, then a dense ``head``.

    Weights lie in channels_last order, in which convolutions are 1.3 to 1.5 times as fast on a CPU.

    Args:
        in_shape: channels, height, width.
        out_features: number of outputs: one logit per class, or one value per target.
        features: the layers before the head.
        hidden: widths of the dense hidden layers.
        activation: makes the activation of a dense hidden layer; called once a layer.
        dropout: probability of dropping a unit of the dense hidden layers in training.
        called: name of the features in the error for images that are too small for them.
        advice: what that error says to do.

    Shapes: (B, *in_shape) to (B, out_features).

    Raises:
        ValueError: for images that are too small, or outputs that memory cannot hold.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        features: nn.Sequential,
        hidden: Sequence[int],
        activation: Callable[[], nn.Module],
        dropout: float,
        *,
        called: str,
        advice: str,
    ) -> None:
        super().__init__()
        self.features = features
        channels, height, width = in_shape
        sides = height, width
        for layer in features:
            if isinstance(layer, nn.Conv2d):
                channels = layer.out_channels
            if isinstance(layer, WINDOWED):
                sides = output_sides(layer, sides)
            if min(sides) < 1:
                raise ValueError(
                    f"{called} leave nothing of {height}x{width} pixels: {type(layer).__name__} after {channels} "
                    f"channels gives {max(sides[0], 0)}x{max(sides[1], 0)}. {advice}"
                )
            outputs = f"{channels:,} channels of {sides[0]:,}x{sides[1]:,} that {called} make of an image"
            check_memory(outputs, channels * math.prod(sides) * 4, "Take fewer channels or less padding")
        self.head = MLP((channels, *sides), out_features, hidden, activation, None, dropout)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def forward(self, images: Tensor) -> Tensor:
        """(B, out_features)."""
        return self.head(self.features(images))


def check_images(called: str, in_shape: Sequence[int]) -> None:
    """Raise a ValueError unless samples are images (channels, height, width)."""
    if len(in_shape) != 3:
        raise ValueError(
            f"{called} needs images (channels, height, width), but a sample of this data set has shape "
            f"{tuple(in_shape)}. Try model=mlp, or data=mnist or data=digits"
        )
