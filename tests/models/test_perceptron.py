"""The perceptron is one unit."""

import pytest
import torch

from lit_dl.models import Perceptron


def test_it_is_w_x_plus_b():
    net = Perceptron((2, 3), 2)
    inputs = torch.randn(7, 2, 3)
    expected = (inputs.reshape(7, 6) * net[1].weight).sum(dim=1, keepdim=True) + net[1].bias
    assert expected.shape == (7, 1)
    torch.testing.assert_close(net(inputs), expected)


def test_one_unit_does_not_tell_ten_classes_apart():
    with pytest.raises(ValueError, match=r"10 outputs\. Try model=mlp model\.hidden=\[\]"):
        Perceptron((1, 8, 8), 10)
