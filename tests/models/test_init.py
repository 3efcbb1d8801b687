"""Initialisation: the variances that the papers give."""

from functools import partial

import pytest
import torch
from torch import nn

from lit_dl.models import CNN, MLP, initialize


def test_he_gives_the_variance_two_over_fan_in_and_zero_biases():
    net = MLP((500,), 10, [400])
    initialize(net, partial(nn.init.kaiming_normal_, nonlinearity="relu"))
    assert net[1].weight.var().item() == pytest.approx(2 / 500, rel=0.03)  # 200,000 draws: a relative error of 0.003
    assert net[1].bias.count_nonzero() == 0


def test_xavier_gives_the_variance_two_over_fan_in_plus_fan_out():
    net = MLP((500,), 10, [400])
    initialize(net, nn.init.xavier_uniform_)
    assert net[1].weight.var().item() == pytest.approx(2 / 900, rel=0.03)


def test_orthogonal_gives_an_orthogonal_matrix():
    net = MLP((50,), 10, [50])
    initialize(net, nn.init.orthogonal_)
    torch.testing.assert_close(net[1].weight @ net[1].weight.T, torch.eye(50), atol=1e-5, rtol=0)


def test_convolutions_are_initialised_and_norms_and_slopes_are_not():
    cnn = CNN((1, 8, 8), 10, [4], activation=nn.PReLU)
    initialize(cnn, partial(nn.init.constant_, val=0.5))
    assert (cnn.features[0].weight == 0.5).all()
    assert (cnn.features[1].weight == 0.25).all()  # PReLU's own start
    net = MLP((2,), 3, [4], norm="batch")
    initialize(net, partial(nn.init.constant_, val=0.5))
    assert (net[2].weight == 1).all()


def test_none_leaves_the_network_as_it_is():
    net = MLP((2,), 3)
    before = net[1].weight.clone()
    initialize(net, None)
    assert torch.equal(net[1].weight, before)


def test_convolutions_whose_weights_lie_in_channels_last_order_can_be_orthogonal():
    network = CNN((2, 8, 8), 10, channels=[4, 6], hidden=[])
    initialize(network, nn.init.orthogonal_)
    weight = network.features[3].weight
    assert not weight.is_contiguous()
    rows = weight.flatten(1)
    assert torch.allclose(rows @ rows.T, torch.eye(6), atol=1e-5)
