"""The parallel block's arithmetic and its gradient."""

import pytest
import torch
from torch import nn

from lit_dl.models import ParallelBlock, ParallelNet


def test_it_multiplies_two_linear_maps_and_clamps_the_product_at_zero():
    block = ParallelBlock(5, 7)
    x = torch.randn(3, 5)
    expected = ((x @ block.first.weight.T + block.first.bias) * (x @ block.second.weight.T + block.second.bias)).clamp(
        min=0
    )
    assert 0 < (expected == 0).sum() < expected.numel()
    torch.testing.assert_close(block(x), expected)


def test_its_gradient_is_that_of_the_product_rule():
    block = ParallelBlock(5, 7).double()
    x = torch.randn(3, 5, dtype=torch.float64)
    above = torch.randn(3, 7, dtype=torch.float64)  # of the error by the block's outputs
    block(x).backward(above)
    u, v = block.first(x).detach(), block.second(x).detach()
    passes = above * (u * v > 0)
    torch.testing.assert_close(block.first.weight.grad, (passes * v).T @ x, atol=1e-10, rtol=0)
    torch.testing.assert_close(block.second.weight.grad, (passes * u).T @ x, atol=1e-10, rtol=0)
    torch.testing.assert_close(block.second.bias.grad, (passes * u).sum(dim=0), atol=1e-10, rtol=0)


def test_the_nets_gradient_equals_finite_differences():
    net = ParallelNet((2, 3), 2, width=4).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*net.named_parameters(), strict=True)

    def outputs(x, *values):
        return torch.func.functional_call(net, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(outputs, (x, *parameters))


def test_the_net_has_the_block_as_its_hidden_layer():
    net = ParallelNet((1000,), 10, width=100, activation=nn.Tanh, dropout=0.5)  # the sizes of the course
    assert [type(layer) for layer in net] == [nn.Flatten, ParallelBlock, nn.Dropout, nn.Linear]
    assert isinstance(net[1].activation, nn.Tanh)
    assert sum(p.numel() for p in net.parameters()) == 2 * 1001 * 100 + 101 * 10


def test_a_wrong_width_is_named():
    with pytest.raises(ValueError, match=r"width is \[0\]"):
        ParallelNet((2,), 3, width=0)
