"""The CNN's sizes, refusals and memory format."""

from itertools import product

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


def test_a_1x1_convolution_is_a_dense_layer_over_the_channels():
    net = CNN((3, 6, 6), 2, channels=[5], kernel_size=1, padding=0)
    images = torch.randn(4, 3, 6, 6)
    convolution, dense = net.features[0], nn.Linear(3, 5)
    dense.load_state_dict({"weight": convolution.weight.flatten(1), "bias": convolution.bias})
    assert torch.allclose(convolution(images), dense(images.movedim(1, -1)).movedim(-1, 1), atol=1e-6)


def test_a_convolution_is_the_cross_correlation_of_the_formula():
    convolution = CNN((2, 5, 5), 2, channels=[1], kernel_size=3, padding=0).features[0]
    image = torch.randn(1, 2, 5, 5)
    x, w = image[0].tolist(), convolution.weight[0].tolist()
    for i, j in product(range(3), range(3)):  # 5 - 3 + 1 positions each way
        by_hand = sum(x[c][i + a][j + b] * w[c][a][b] for c, a, b in product(range(2), range(3), range(3)))
        assert convolution(image)[0, 0, i, j].item() == pytest.approx(by_hand + convolution.bias.item(), abs=1e-5)
