"""LeNet and AlexNet have the layers of their papers."""

import pytest
import torch
from torch import nn

from lit_dl.models import AlexNet, LeNet
from lit_dl.models.summary import layer_table


def test_lenet_has_the_sizes_of_the_paper():
    rows = layer_table(LeNet((1, 28, 28), 10), (1, 28, 28))
    shapes = ["6x28x28", "6x14x14", "16x10x10", "16x5x5"]
    assert [row.shape for row in rows if row.name.startswith(("Conv", "Avg"))] == shapes  # C1, S2, C3, S4
    assert [row.shape for row in rows if row.name == "Linear"] == ["120", "84", "10"]  # C5, F6, output
    # C1, C5 and F6 as the paper counts them; C3 with all connections; a linear output instead of radial functions
    assert [row.parameters for row in rows if row.parameters] == [156, 16 * (6 * 25 + 1), 48_120, 10_164, 85 * 10]


def test_alexnet_has_the_layers_of_the_paper_in_its_order():
    net = AlexNet((1, 28, 28), 10)
    conv, relu, pool = nn.Conv2d, nn.ReLU, nn.MaxPool2d
    assert [type(each) for each in net.features] == [conv, relu, pool] * 2 + [conv, relu] * 3 + [pool]
    assert {(each.kernel_size, each.stride) for each in net.features if isinstance(each, pool)} == {(3, 2)}
    dense = [nn.Linear, relu, nn.Dropout]
    assert [type(each) for each in net.head] == [nn.Flatten, *dense, *dense, nn.Linear]
    assert [each.p for each in net.modules() if isinstance(each, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize("net", [LeNet, AlexNet])
def test_colour_images_of_32_pixels_fit_too_and_weights_lie_in_channels_last_order(net):
    network = net((3, 32, 32), 10)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert network.features[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("net", "least"), [(LeNet, 12), (AlexNet, 15)])
def test_smaller_images_are_refused_from_the_side_on_that_the_docstring_names(net, least):
    assert net((1, least, least), 10)(torch.zeros(2, 1, least, least)).shape == (2, 10)
    with pytest.raises(ValueError, match=rf"leave nothing of {least - 1}x{least - 1}.*data=mnist"):
        net((1, least - 1, least - 1), 10)


@pytest.mark.parametrize("net", [LeNet, AlexNet])
def test_points_are_no_images(net):
    with pytest.raises(ValueError, match=r"\(2,\).*model=mlp"):
        net((2,), 3)


def test_alexnet_has_five_convolutions():
    with pytest.raises(ValueError, match=r"channels is \[4, 4\]; AlexNet has five"):
        AlexNet((1, 28, 28), 10, channels=[4, 4])
