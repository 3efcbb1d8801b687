"""The layer table."""

import pytest
import torch
from torch import nn

from lit_dl.console import console, start_block
from lit_dl.models import CNN, MLP, SharedMLP
from lit_dl.models.summary import layer_table


def test_it_lists_layers_in_order_with_shapes_and_all_parameters():
    net = CNN((1, 28, 28), 10, [16, 32], hidden=[128])
    rows = layer_table(net, (1, 28, 28))
    assert rows[0] == ("Conv2d 5x5", "16x28x28", 16 * 25 + 16, (5, 5))
    assert rows[-1] == ("Linear", "10", 128 * 10 + 10, (28, 28))
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in net.parameters())


def test_it_changes_neither_the_mode_nor_the_statistics_nor_the_hooks():
    net = MLP((2,), 3, [4], norm="batch", dropout=0.5)
    mean = net[2].running_mean.clone()
    layer_table(net, (2,))
    assert net.training
    assert torch.equal(net[2].running_mean, mean)
    assert not any(module._forward_hooks for module in net.modules() if isinstance(module, nn.Module))


def seen(net: nn.Module, side: int) -> tuple[int, int]:
    """Height and width of what has a gradient from the middle one of the net's outputs, over many random images."""
    images = torch.randn(100, 1, side, side, requires_grad=True)
    outputs = net(images)
    outputs[:, 0, outputs.shape[2] // 2, outputs.shape[3] // 2].sum().backward()
    rows, columns = images.grad.abs().sum(dim=(0, 1)).nonzero().T
    assert 0 < rows.min() <= rows.max() < side - 1  # away from the border
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


STACKS = {
    "convolutions": [nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(2, 1, 3)],
    "stride": [nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.Conv2d(2, 2, 5, stride=3), nn.Conv2d(2, 1, 2)],
    "average pooling": [nn.Conv2d(1, 2, 5), nn.AvgPool2d(2), nn.Conv2d(2, 1, 5, padding=2), nn.AvgPool2d(2)],
    "overlapping maxima": [nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, stride=2), nn.Conv2d(2, 1, 3), nn.MaxPool2d(2)],
    "dilation": [nn.Conv2d(1, 2, 3, dilation=2), nn.AvgPool2d(2), nn.Conv2d(2, 1, 3, dilation=3, padding="same")],
    "windows that are no squares": [nn.Conv2d(1, 1, (3, 1), stride=(2, 1)), nn.AvgPool2d((1, 4)), nn.Conv2d(1, 1, 2)],
    "layers between": [nn.Conv2d(1, 2, 3), nn.PReLU(), nn.BatchNorm2d(2), nn.Dropout(), nn.AvgPool2d(2), nn.Sigmoid()],
}


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_the_receptive_field_is_where_the_gradient_reaches(layers):
    torch.manual_seed(0)
    net = nn.Sequential(*layers).eval()
    rows = layer_table(net, (1, 40, 40))
    for depth in range(1, len(net) + 1):
        assert rows[depth - 1].receptive_field == seen(net[:depth], 40)


def test_the_receptive_field_of_alexnet_is_the_published_one():
    """195 after the last pooling: the table of Araujo, Norris and Sim, Distill 2019."""
    net = nn.Sequential(
        nn.Conv2d(3, 1, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(1, 1, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    assert layer_table(net, (3, 224, 224))[-1].receptive_field == (195, 195)


def test_the_receptive_field_ends_at_the_image():
    rows = layer_table(CNN((1, 8, 8), 10, [4, 4]), (1, 8, 8))
    sides = {"Conv2d 5x5": [5, 8], "MaxPool2d 2x2": [6, 8], "Linear": [8, 8]}  # without an end: 5, 14; 6, 16
    for name, expected in sides.items():
        assert [row.receptive_field for row in rows if row.name == name] == [(side, side) for side in expected]


class Residual(nn.Module):
    """Adds what it was given, out of the table's sight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images):
        return self.second(images + self.first(images))


def test_no_receptive_field_is_told_where_it_is_not_known():
    assert [row.receptive_field for row in layer_table(Residual(), (1, 8, 8))] == [(3, 3), None]
    assert {row.receptive_field for row in layer_table(MLP((1, 8, 8), 10), (1, 8, 8))} == {None}


def shown(net: nn.Module, in_shape: tuple[int, ...]) -> str:
    with console.capture() as capture:
        console.print(start_block({}, layer_table(net, in_shape)))
    return capture.get()


def test_the_start_block_has_receptive_fields_of_convolutional_nets_only_and_marks_shared_layers():
    assert "receptive field" in shown(CNN((1, 8, 8), 10, [4]), (1, 8, 8))
    text = shown(SharedMLP((1, 8, 8), 10, depth=3), (1, 8, 8))
    assert "receptive field" not in text
    assert text.count("shared") == 2
