"""The layer table."""

import torch
from torch import nn

from lit_dl.models import CNN, MLP
from lit_dl.models.summary import layer_table


def test_it_lists_layers_in_order_with_shapes_and_all_parameters():
    net = CNN((1, 28, 28), 10, [16, 32], hidden=[128])
    rows = layer_table(net, (1, 28, 28))
    assert rows[0] == ("Conv2d 5x5", "16x28x28", 16 * 25 + 16)
    assert rows[-1] == ("Linear", "10", 128 * 10 + 10)
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in net.parameters())


def test_it_changes_neither_the_mode_nor_the_statistics_nor_the_hooks():
    net = MLP((2,), 3, [4], norm="batch", dropout=0.5)
    mean = net[2].running_mean.clone()
    layer_table(net, (2,))
    assert net.training
    assert torch.equal(net[2].running_mean, mean)
    assert not any(module._forward_hooks for module in net.modules() if isinstance(module, nn.Module))
