"""A layer used several times has its parameters once, and the sum of the gradients of its uses."""

import copy

import pytest
import torch
from torch import nn

from lit_dl.diagnostics.activations import ForwardWatch
from lit_dl.diagnostics.transfer import Transfer
from lit_dl.models import SharedMLP, initialize
from lit_dl.models.summary import layer_table

DEPTH = 4


def unshared(net: SharedMLP) -> nn.Sequential:
    """The same function with a copy of the layer for each use."""
    layers = [nn.Flatten(), copy.deepcopy(net.first), nn.Tanh()]
    for _ in range(DEPTH):
        layers += [copy.deepcopy(net.shared), nn.Tanh()]
    return nn.Sequential(*layers, copy.deepcopy(net.last))


def test_the_gradient_is_the_sum_over_the_copies_of_an_unshared_net():
    net = SharedMLP((2, 3), 4, width=5, depth=DEPTH, activation=nn.Tanh).double()
    twin = unshared(net)
    x, labels = torch.randn(9, 2, 3, dtype=torch.float64), torch.randint(4, (9,))
    for each in (net, twin):
        nn.functional.cross_entropy(each(x), labels).backward()
    copies = [layer for layer in twin if isinstance(layer, nn.Linear) and layer.in_features == layer.out_features]
    assert len(copies) == DEPTH
    for name in ("weight", "bias"):
        gradients = [getattr(layer, name).grad for layer in copies]
        torch.testing.assert_close(getattr(net.shared, name).grad, sum(gradients), atol=1e-12, rtol=0)
        torch.testing.assert_close(getattr(net.first, name).grad, getattr(twin[1], name).grad, atol=1e-12, rtol=0)
    assert not torch.allclose(gradients[0], gradients[-1])


def test_its_parameters_count_once_and_the_table_says_where_they_are_used_again():
    net = SharedMLP((2, 3), 4, width=5, depth=DEPTH)
    once = 7 * 5 + 6 * 5 + 6 * 4
    assert sum(p.numel() for p in net.parameters()) == once
    counts = [row.parameters for row in layer_table(net, (2, 3)) if row.name == "Linear"]
    assert counts == [7 * 5, 6 * 5, None, None, None, 6 * 4]


def test_an_initialisation_draws_the_shared_layer_once():
    net, drawn = SharedMLP((6,), 4, width=5, depth=DEPTH), []
    initialize(net, drawn.append)
    assert [weight.shape for weight in drawn] == [(5, 6), (5, 5), (4, 5)]


def test_the_monitor_sees_one_layer_and_an_activation_for_each_use():
    net = SharedMLP((6,), 4, width=5, depth=DEPTH, dropout=0.5)
    watch = ForwardWatch(net)
    watch.begin(measuring=True)
    net(torch.randn(9, 6))
    watch.end()
    transfer = Transfer()
    watch.send(transfer)
    transfer.fetch()
    assert [layer.name for layer in watch.layers] == ["01_linear", "02_linear", "03_linear"]
    names = [each.name for each in watch.read()]
    assert names == ["01_relu", "02_relu", "02_relu_2", "02_relu_3", "02_relu_4"]
    watch.close()


@pytest.mark.parametrize("option", ["width", "depth"])
def test_a_wrong_width_or_depth_is_named(option):
    with pytest.raises(ValueError, match=rf"{option} is \[0\]"):
        SharedMLP((2,), 3, **{option: 0})
