"""Layers: which modules they are, in which order they are used, and how they are looked at without a trace."""

import pytest
import torch
from torch import nn

from lit_dl.layers import evaluating, is_activation, layers_of, looking_at, order_of_use
from lit_dl.models import CNN, MLP


def test_layers_are_named_by_depth_and_kind():
    net = CNN((1, 8, 8), 10, [3], hidden=[7], kernel_size=3, padding=1, activation=nn.PReLU)
    names = ["01_conv2d", "02_prelu", "03_linear", "04_prelu", "05_linear"]
    assert [layer.name for layer in layers_of(net)] == names
    assert [layer.is_compared for layer in layers_of(net)] == [True, False, True, False, True]


def test_the_order_of_use_counts_and_what_is_never_called_stays_beside_what_was_registered_before_it():
    net = nn.ModuleDict({"last": nn.Linear(2, 2), "attention": nn.MultiheadAttention(2, 1), "first": nn.LSTM(2, 2)})
    layers = layers_of(net, [net["first"], net["attention"], net["last"]])
    assert [layer.module for layer in layers] == [
        net["first"], net["attention"], net["attention"].out_proj, net["last"],
    ]  # fmt: skip
    assert [layer.name for layer in layers] == ["01_lstm", "02_multiheadattention", "03_linear", "04_linear"]


def test_a_shared_parameter_counts_in_the_first_layer_that_has_it_and_frozen_ones_count_too():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3, bias=False))
    net[1].weight = net[2].weight = net[0].weight
    net[1].bias.requires_grad_(False)
    assert [(layer.name, list(map(id, layer.parameters))) for layer in layers_of(net)] == [
        ("01_linear", [id(net[0].weight), id(net[0].bias)]),
        ("02_linear", [id(net[1].bias)]),  # the third has nothing of its own
    ]


def test_embeddings_and_norms_are_not_compared():
    net = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    assert [layer.is_compared for layer in layers_of(net)] == [False, False, True]


class Own(nn.Linear):
    """Somebody's own kind."""


def test_a_layer_of_somebodys_own_has_its_name_and_torchs_the_public_one():
    net = nn.Sequential(Own(2, 2), nn.MultiheadAttention(2, 1))
    names = [layer.name for layer in layers_of(net)]
    assert names == ["01_own", "02_multiheadattention", "03_linear"]  # torch calls it NonDynamicallyQuantizableLinear


def test_the_order_of_use_is_that_of_a_pass_and_a_module_used_again_counts_where_it_was_first():
    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.never, self.early = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, inputs):
            return self.early(self.late(torch.relu(self.early(inputs))))

    net = Crossed()
    assert order_of_use(net, (3,)) == [net.early, net.late]


def test_looking_needs_no_gradients_and_leaves_no_hooks_also_after_an_error():
    net, seen = MLP((2,), 3, [4]), []
    with looking_at([net[1], net[3]], lambda module, inputs, output: seen.append((module, output.requires_grad))):
        net(torch.zeros(1, 2))
    assert seen == [(net[1], False), (net[3], False)]
    with pytest.raises(RuntimeError, match="shapes"), looking_at([net[1]], print):
        net(torch.zeros(1, 7))
    assert not any(module._forward_hooks for module in net.modules())


def test_after_evaluation_each_module_has_the_mode_that_it_had():
    net = MLP((2,), 3, [4], norm="batch", dropout=0.5)
    net[2].eval()
    modes = [module.training for module in net.modules()]
    with evaluating(net):
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net.modules()] == modes
    assert len(set(modes)) == 2


def test_activations_are_torchs_and_what_is_derived_from_them():
    class Mine(nn.ReLU):
        pass

    assert all(map(is_activation, (Mine(), nn.GELU(), nn.PReLU(), nn.Softmax(dim=1))))
    assert not any(map(is_activation, (nn.Linear(1, 1), nn.Dropout(), nn.MultiheadAttention(2, 1))))
