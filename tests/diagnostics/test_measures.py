"""Gradient norms against an independent computation."""

import math

import pytest
import torch
from torch import nn

from lit_dl.diagnostics.measures import entries, gradient_norms, layers_of
from lit_dl.models import CNN, MLP


def with_gradients(net: nn.Module, *shape: int) -> nn.Module:
    torch.manual_seed(0)
    net(torch.randn(4, *shape)).square().sum().backward()
    return net


def by_hand(parameters: list[nn.Parameter]) -> float:
    return math.sqrt(sum(value**2 for p in parameters for value in p.grad.double().flatten().tolist()))


@pytest.mark.parametrize(
    ("net", "shape"), [(MLP((6,), 3, [5, 4]), (6,)), (CNN((1, 8, 8), 10, [3, 4]), (1, 8, 8))], ids=["mlp", "cnn"]
)
def test_norms_equal_a_loop_over_all_entries(net, shape):
    layers = layers_of(with_gradients(net, *shape))
    expected = [by_hand(layer.parameters) for layer in layers]
    assert gradient_norms(layers).tolist() == pytest.approx(expected, rel=1e-6)
    whole = torch.nn.utils.clip_grad_norm_(net.parameters(), math.inf).item()
    assert gradient_norms(layers).norm().item() == pytest.approx(whole, rel=1e-6)


def test_layers_are_named_by_depth_and_kind_and_own_their_entries():
    net = CNN((1, 8, 8), 10, [3], hidden=[7], kernel_size=3, padding=1, activation=nn.PReLU)
    layers = layers_of(with_gradients(net, 1, 8, 8))
    assert [layer.name for layer in layers] == ["01_conv2d", "02_prelu", "03_linear", "04_prelu", "05_linear"]
    assert [entries(layer) for layer in layers] == [3 * 9 + 3, 1, 3 * 16 * 7 + 7, 1, 7 * 10 + 10]


def test_a_shared_parameter_counts_once():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    layers = layers_of(with_gradients(net, 3))
    assert [entries(layer) for layer in layers] == [12, 3]
    assert gradient_norms(layers).tolist() == pytest.approx([by_hand(layer.parameters) for layer in layers], rel=1e-6)


def test_a_frozen_layer_has_no_entries_and_a_norm_of_zero():
    net = MLP((3,), 2, [4])
    net[1].requires_grad_(False)
    layers = layers_of(with_gradients(net, 3))
    assert [entries(layer) for layer in layers] == [0, 10]
    assert gradient_norms(layers).tolist() == pytest.approx([0.0, by_hand(layers[1].parameters)], rel=1e-6)
