"""The gradients that one works out by hand equal autograd's, for lit_dl's networks."""

from functools import partial

import pytest
import torch
from torch import nn

from lit_dl.models import MLP, Perceptron

pytestmark = pytest.mark.parametrize("seed", [0, 1, 2])
equal = partial(torch.testing.assert_close, atol=1e-10, rtol=0)


@pytest.fixture(autouse=True)
def seeded(seed):
    torch.manual_seed(seed)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_one_unit_with_a_sigmoid_and_squared_error(seed):
    unit = Perceptron((6,), 2).double()
    x, target = random(1, 6), torch.rand(1, 1).double()
    output = torch.sigmoid(unit(x))
    (0.5 * (output - target) ** 2).sum().backward()
    for j in range(6):  # dE/dw_j = (O - t) O (1 - O) x_j
        equal(unit[1].weight.grad[0, j], ((output - target) * output * (1 - output)).detach()[0, 0] * x[0, j])
    equal(unit[1].bias.grad, ((output - target) * output * (1 - output)).detach()[0])


def test_one_unit_with_a_sigmoid_and_cross_entropy(seed):
    unit = Perceptron((6,), 2).double()
    x, label = random(1, 6), torch.randint(2, (1, 1)).double()
    z = unit(x)
    nn.functional.binary_cross_entropy_with_logits(z, label).backward()
    equal(unit[1].weight.grad, (torch.sigmoid(z) - label).detach() * x)  # (O - t) x_j


def test_several_outputs_with_sigmoids_and_squared_error(seed):
    layer = MLP((5,), 3, hidden=[]).double()
    x, target = random(1, 5), torch.rand(1, 3).double()
    output = torch.sigmoid(layer(x))
    (0.5 * (output - target) ** 2).sum().backward()
    o, t = output.detach()[0], target[0]
    for k in range(3):
        for j in range(5):  # dE/dw_jk = (O_k - t_k) O_k (1 - O_k) x_j
            equal(layer[1].weight.grad[k, j], (o[k] - t[k]) * o[k] * (1 - o[k]) * x[0, j])


def test_the_derivative_of_the_softmax(seed):
    z = random(7)
    p = torch.softmax(z, dim=0)
    jacobian = torch.autograd.functional.jacobian(partial(torch.softmax, dim=0), z)
    for i in range(7):
        for j in range(7):  # dp_i/dz_j = p_i (delta_ij - p_j)
            equal(jacobian[i, j], p[i] * (int(i == j) - p[j]))


def test_softmax_regression_with_cross_entropy(seed):
    layer = MLP((5,), 4, hidden=[]).double()
    x, labels = random(9, 5), torch.randint(4, (9,))
    z = layer(x)
    z.retain_grad()
    nn.CrossEntropyLoss()(z, labels).backward()
    error = torch.softmax(z.detach(), dim=1) - torch.eye(4, dtype=torch.float64)[labels]  # p - onehot, (9, 4)
    equal(z.grad, error / 9)  # the loss is the mean over the batch
    equal(layer[1].weight.grad, error.T @ x / 9)
    equal(layer[1].bias.grad, error.mean(dim=0))


def test_the_chain_rule_through_two_layers_of_sigmoids(seed):
    net = MLP((4,), 2, hidden=[3], activation=nn.Sigmoid).double()
    x, target = random(1, 4), torch.rand(1, 2).double()
    output = torch.sigmoid(net(x))
    (0.5 * (output - target) ** 2).sum().backward()
    first, last = net[1], net[3]
    o_j = torch.sigmoid(x @ first.weight.T + first.bias).detach()[0]  # of the hidden layer, (3,)
    o_k, t = output.detach()[0], target[0]
    delta_k = (o_k - t) * o_k * (1 - o_k)
    delta_j = torch.zeros(3, dtype=torch.float64)
    for j in range(3):  # delta_j = O_j (1 - O_j) sum_k delta_k W_jk
        delta_j[j] = o_j[j] * (1 - o_j[j]) * sum(delta_k[k] * last.weight.detach()[k, j] for k in range(2))
    for j in range(3):
        for k in range(2):
            equal(last.weight.grad[k, j], delta_k[k] * o_j[j])
        for i in range(4):
            equal(first.weight.grad[j, i], delta_j[j] * x[0, i])
    equal(first.bias.grad, delta_j)
    equal(last.bias.grad, delta_k)


def test_the_two_layer_regression_net_as_in_numpy(seed):
    net = MLP((1000,), 10, hidden=[100]).double()
    x, y = random(64, 1000), random(64, 10)
    y_pred = net(x)
    ((y_pred - y) ** 2).sum().backward()
    w1, w2 = (net[place].weight.detach().numpy().T for place in (1, 3))
    b1 = net[1].bias.detach().numpy()
    h = x.numpy() @ w1 + b1
    h_relu = h.clip(min=0)
    grad_y_pred = 2.0 * (y_pred.detach() - y).numpy()
    grad_h = grad_y_pred @ w2.T
    grad_h[h < 0] = 0
    equal(net[3].weight.grad, torch.from_numpy((h_relu.T @ grad_y_pred).T))
    equal(net[1].weight.grad, torch.from_numpy((x.numpy().T @ grad_h).T))
