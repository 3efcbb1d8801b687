"""The MLP's layers and its arithmetic."""

import pytest
import torch
from torch import nn

from lit_dl.models import MLP


def test_the_notes_net_has_the_parameters_that_the_formula_gives():
    net = MLP((1, 28, 28), 10, [200, 200])
    assert sum(p.numel() for p in net.parameters()) == 785 * 200 + 201 * 200 + 201 * 10


def test_it_computes_what_the_equation_says():
    net = MLP((2, 3), 4, hidden=[5], activation=nn.Tanh)
    inputs = torch.randn(7, 2, 3)
    first, last = net[1], net[3]
    expected = torch.tanh(inputs.reshape(7, 6) @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(net(inputs), expected)


def test_without_hidden_layers_it_is_softmax_regression():
    net = MLP((1, 8, 8), 10, hidden=[])
    assert [type(layer) for layer in net] == [nn.Flatten, nn.Linear]


def test_each_layer_has_its_own_activation():
    net = MLP((2,), 3, hidden=[4, 4], activation=nn.PReLU)
    slopes = [layer.weight for layer in net if isinstance(layer, nn.PReLU)]
    assert len(slopes) == 2
    assert slopes[0] is not slopes[1]


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)])
def test_a_norm_stands_before_each_activation_and_dropout_after(norm, kind):
    net = MLP((2,), 3, hidden=[4, 5], norm=norm, dropout=0.5)
    block = [nn.Linear, kind, nn.ReLU, nn.Dropout]
    assert [type(layer) for layer in net] == [nn.Flatten, *block, *block, nn.Linear]


def test_dropout_keeps_the_expected_value_and_is_off_in_evaluation():
    net = MLP((1,), 1, hidden=[20000], activation=nn.Identity, dropout=0.3)
    inputs = torch.ones(1, 1)
    hidden = net[1](inputs)
    kept = net[3](net[2](hidden))
    zeros = (kept == 0).float().mean().item()
    assert zeros == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(kept[kept != 0], (hidden / 0.7)[kept != 0])
    torch.testing.assert_close(net.eval()[3](hidden), hidden)


@pytest.mark.parametrize("hidden", [[0], [-1], [1.5], [True], "200", 200])
def test_a_wrong_width_is_named(hidden):
    with pytest.raises(ValueError, match="hidden is"):
        MLP((2,), 3, hidden=hidden)
