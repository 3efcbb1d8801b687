"""LeNet-5."""

from collections.abc import Callable, Sequence

from torch import nn

from lit_dl.models.convnet import ConvNet, check_images


class LeNet(ConvNet):
    """LeNet-5: two convolutions, each followed by average pooling, then dense layers of 120 and 84.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998. There
    the activation is tanh (scaled); courses often give it sigmoids. As is usual today, the second convolution sees all
    channels of the first, the pooling has no parameters, and the last layer is linear. The first convolution pads by
    2, which makes 28x28 pixels the 32x32 of the paper: 6 channels of 28x28, pooled to 14x14, then 16 of 10x10, pooled
    to 5x5.

    Args:
        in_shape: channels, height, width.
        out_features: number of outputs: one logit per class, or one value per target.
        activation: makes the activation of one layer; called once a layer.
        dropout: probability of dropping a unit of the dense hidden layers in training; the paper has none.

    Shapes: (B, *in_shape) to (B, out_features).

    Raises:
        ValueError: for samples that are no images, or smaller than 12x12.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        activation: Callable[[], nn.Module] = nn.Tanh,
        dropout: float = 0.0,
    ) -> None:
        check_images("LeNet", in_shape)
        features = nn.Sequential(
            nn.Conv2d(in_shape[0], 6, 5, padding=2),
            activation(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            activation(),
            nn.AvgPool2d(2),
        )
        advice = "Take larger images, such as data=mnist, or model=cnn"
        super().__init__(
            in_shape, out_features, features, (120, 84), activation, dropout, called="LeNet's layers", advice=advice
        )
