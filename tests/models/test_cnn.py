"""The CNN's sizes, refusals and memory format."""

import pytest
import torch
from torch import nn

from lit_dl.models import CNN
from lit_dl.models.summary import layer_table


@pytest.mark.parametrize(("kernel_size", "stride", "padding"), [(5, 1, 2), (3, 1, 0), (3, 2, 1), (1, 1, 0)])
def test_sizes_follow_the_formula(kernel_size, stride, padding):
    net = CNN((1, 28, 28), 10, [4, 6], kernel_size, stride, padding)
    shapes = [tuple(map(int, row.shape.split("x"))) for row in layer_table(net, (1, 28, 28))]
    side, expected = 28, []
    for channels in (4, 6):
        side = (side + 2 * padding - kernel_size) // stride + 1
        expected += [(channels, side, side)] * 2  # convolution, activation
        side //= 2
        expected.append((channels, side, side))
    assert shapes[:6] == expected
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(("pool", "kind"), [("max", nn.MaxPool2d), ("avg", nn.AvgPool2d)])
def test_it_pools_with_what_is_asked_for(pool, kind):
    assert sum(isinstance(layer, kind) for layer in CNN((1, 8, 8), 10, [4], pool=pool).modules()) == 1


def test_weights_lie_in_channels_last_order_and_give_the_same_numbers():
    net = CNN((3, 8, 8), 10, [4, 6])
    assert net.features[0].weight.is_contiguous(memory_format=torch.channels_last)
    images = torch.randn(5, 3, 8, 8)
    logits = net(images)
    assert net.features(images).is_contiguous(memory_format=torch.channels_last)
    net.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(net(images), logits)


def test_points_are_no_images():
    with pytest.raises(ValueError, match=r"\(2,\).*model=mlp"):
        CNN((2,), 3)


def test_too_many_blocks_leave_nothing():
    with pytest.raises(ValueError, match="leave nothing of 8x8"):
        CNN((1, 8, 8), 10, channels=[4, 4, 4, 4])


@pytest.mark.parametrize(
    ("option", "value"),
    [("kernel_size", 0), ("stride", 0), ("padding", -1), ("pool", "min"), ("channels", [0]), ("hidden", [0])],
)
def test_an_argument_out_of_range_is_named(option, value):
    with pytest.raises(ValueError, match=f"{option} is"):
        CNN((1, 8, 8), 10, **{option: value})
