"""A convolutional net for small images."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

from lit_dl.errors import check_choice, check_count
from lit_dl.models.convnet import ConvNet, check_images
from lit_dl.models.mlp import check_widths

MOST_PIXELS = 10_000  # along the side of a kernel
POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class CNN(ConvNet):
    """Blocks of convolution, activation and 2x2 pooling, then dense layers.

    A convolution of a side n gives floor((n + 2 padding - kernel_size) / stride) + 1, the pooling floor of half of
    that.

    Args:
        in_shape: channels, height, width.
        out_features: number of outputs: one logit per class, or one value per target.
        channels: output channels of each block.
        kernel_size, stride, padding: of each convolution.
        pool: what each block pools with.
        hidden: widths of the dense hidden layers.
        activation: makes the activation of one layer; called once a layer.
        dropout: probability of dropping a unit of the dense hidden layers in training.

    Shapes: (B, *in_shape) to (B, out_features).

    Raises:
        ValueError: for samples that are no images or too small for so many blocks, or an argument out of its range.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        channels: Sequence[int] = (16, 32, 64),
        kernel_size: int = 5,
        stride: int = 1,
        padding: int = 2,
        pool: Literal["max", "avg"] = "max",
        hidden: Sequence[int] = (128,),
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        check_widths("channels", channels)
        check_widths("kernel_size", [kernel_size], most=MOST_PIXELS)
        check_widths("stride", [stride])
        check_count("padding", padding, least=0)
        check_choice("pool", pool, POOLS)
        check_images("a CNN", in_shape)
        features = nn.Sequential()
        for in_channels, out_channels in pairwise((in_shape[0], *channels)):
            features.append(nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding))
            features.append(activation())
            features.append(POOLS[pool](2))
        called = f"{len(channels)} blocks with kernel_size={kernel_size}, stride={stride}, padding={padding}"
        advice = "Try fewer channels, a smaller kernel or more padding"
        super().__init__(in_shape, out_features, features, hidden, activation, dropout, called=called, advice=advice)
