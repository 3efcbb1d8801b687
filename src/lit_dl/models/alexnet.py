"""AlexNet, sized for small images."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from lit_dl.models.convnet import ConvNet, check_images
from lit_dl.models.mlp import check_widths


class AlexNet(ConvNet):
    """AlexNet: five convolutions with ReLU, three poolings by overlapping maxima, two dense layers with dropout.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012.
    Its images have 224x224 pixels, which the first convolution brings to 55x55 by kernels of 11 with stride 4. For
    images of about 28x28 that convolution has kernels of 5 and stride 1 here, and an eighth of the widths will do. The
    normalisation between neighbouring channels is left out, as is usual today. Of 28x28 pixels the poolings (windows
    of 3, stride 2) leave 13x13, 6x6 and 2x2.

    Args:
        in_shape: channels, height, width.
        out_features: number of outputs: one logit per class, or one value per target.
        channels: output channels of the five convolutions; in the paper 96, 256, 384, 384, 256.
        hidden: widths of the dense hidden layers; in the paper 4096, 4096.
        activation: makes the activation of one layer; called once a layer.
        dropout: probability of dropping a unit of the dense hidden layers in training.

    Shapes: (B, *in_shape) to (B, out_features).

    Raises:
        ValueError: for samples that are no images or smaller than 15x15, or an argument out of its range.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        channels: Sequence[int] = (16, 32, 48, 48, 32),
        hidden: Sequence[int] = (512, 512),
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.5,
    ) -> None:
        check_images("AlexNet", in_shape)
        check_widths("channels", channels)
        if len(channels) != 5:
            raise ValueError(f"channels is {list(channels)}; AlexNet has five convolutions, model=cnn any number")
        features = nn.Sequential()
        for number, (in_channels, out_channels) in enumerate(pairwise((in_shape[0], *channels)), 1):
            kernel_size = 5 if number <= 2 else 3
            features.append(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2))
            features.append(activation())
            if number in (1, 2, 5):
                features.append(nn.MaxPool2d(3, stride=2))
        advice = "Take larger images, such as data=mnist, or model=cnn"
        super().__init__(
            in_shape, out_features, features, hidden, activation, dropout, called="AlexNet's layers", advice=advice
        )
