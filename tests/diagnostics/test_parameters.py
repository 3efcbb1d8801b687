"""Measures of parameters against independent computations."""

import math

import pytest
import torch
from torch import nn

from lit_dl.diagnostics.parameters import MEASURES, LayerStep, StepMeter, non_finite
from lit_dl.diagnostics.transfer import Transfer
from lit_dl.layers import layers_of
from lit_dl.models import CNN, MLP

NETS = {
    "mlp": (lambda: MLP((6,), 3, [5, 4]), (6,)),
    "cnn": (lambda: CNN((1, 8, 8), 10, [3, 4]), (1, 8, 8)),
    "shared": (lambda: sharing(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))), (3,)),
}


def sharing(net: nn.Sequential) -> nn.Sequential:
    net[2].weight = net[0].weight
    return net


def with_gradients(net: nn.Module, *shape: int) -> nn.Module:
    torch.manual_seed(0)
    net(torch.randn(4, *shape)).square().sum().backward()
    return net


def norm(tensors) -> float:
    """By a loop over all entries in double precision."""
    return math.sqrt(sum(value**2 for tensor in tensors for value in tensor.double().flatten().tolist()))


def steps_of(net: nn.Module, optimizer: torch.optim.Optimizer, clip: float | None = None) -> list[LayerStep]:
    meter = StepMeter(layers_of(net))
    meter.before()
    if clip is not None:
        nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
    transfer = Transfer()
    meter.after(transfer, clipped=clip is not None)
    transfer.fetch()
    return meter.read()


@pytest.mark.parametrize("kind", NETS)
def test_norms_equal_autograd_taken_by_itself(kind):
    make, shape = NETS[kind]
    torch.manual_seed(1)
    net = make()
    layers = layers_of(net)
    torch.manual_seed(0)
    gradients = torch.autograd.grad(net(torch.randn(4, *shape)).square().sum(), list(net.parameters()))
    by_id = {id(p): gradient for p, gradient in zip(net.parameters(), gradients, strict=True)}
    with_gradients(net, *shape)
    weights = [norm(layer.parameters) for layer in layers]
    for step, layer, weight in zip(steps_of(net, torch.optim.SGD(net.parameters(), 0.0)), layers, weights, strict=True):
        own = [by_id[id(p)] for p in layer.parameters]
        assert step.gradient == pytest.approx(norm(own), rel=1e-6)
        assert step.entries == sum(p.numel() for p in layer.parameters)
        assert MEASURES["grad_rms"](step) == pytest.approx(norm(own) / math.sqrt(step.entries), rel=1e-6)
        assert MEASURES["weight_norm"](step) == pytest.approx(weight, rel=1e-6)
        zeros = sum(value == 0 for gradient in own for value in gradient.flatten().tolist())
        assert MEASURES["grad_zeros"](step) == pytest.approx(zeros / step.entries)
        assert step.change == 0
        assert MEASURES["update_ratio"](step) == 0


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.01),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.5, fused=True),
    ],
    ids=["sgd with decay", "adam", "fused adamw"],
)
@pytest.mark.parametrize("clip", [None, 0.01])
def test_the_update_ratio_is_the_parameters_own_difference(optimizer, clip):
    net = with_gradients(CNN((1, 8, 8), 10, [3, 4]), 1, 8, 8)
    layers = layers_of(net)
    before = {id(p): p.detach().clone() for p in net.parameters()}
    for step, layer in zip(steps_of(net, optimizer(net.parameters()), clip), layers, strict=True):
        change = norm([p.detach() - before[id(p)] for p in layer.parameters])
        assert change > 0
        expected = change / norm([before[id(p)] for p in layer.parameters])
        assert MEASURES["update_ratio"](step) == pytest.approx(expected, rel=1e-6)


def test_what_clipping_left_stands_beside_the_norm_before_it():
    net = with_gradients(MLP((6,), 3, [5]), 6)
    whole = norm([p.grad for p in net.parameters()])
    steps = steps_of(net, torch.optim.SGD(net.parameters(), 0.1), clip=whole / 10)
    assert math.hypot(*(step.gradient for step in steps)) == pytest.approx(whole, rel=1e-6)
    assert math.hypot(*(step.clipped for step in steps)) == pytest.approx(whole / 10, rel=1e-4)


def test_large_gradients_of_half_precision_do_not_overflow():
    net = nn.Linear(4, 4).half()
    for p in net.parameters():
        p.grad = torch.full_like(p, 30_000.0)
    (step,) = steps_of(net, torch.optim.SGD(net.parameters(), 0.0))
    assert step.gradient == pytest.approx(30_000 * math.sqrt(20), rel=1e-3)  # float16 ends at 65,504


def test_float64_keeps_its_precision():
    net = MLP((6,), 3, [5]).double()
    net(torch.randn(4, 6, dtype=torch.float64)).square().sum().backward()
    expected = [norm([p.grad for p in layer.parameters]) for layer in layers_of(net)]
    steps = steps_of(net, torch.optim.SGD(net.parameters(), 0.1))
    assert [step.gradient for step in steps] == pytest.approx(expected, rel=1e-12)


def test_sparse_gradients_are_measured():
    net = nn.Embedding(10, 3, sparse=True)
    net(torch.tensor([1, 1, 4])).square().sum().backward()
    expected = norm([net.weight.grad.to_dense()])
    (step,) = steps_of(net, torch.optim.SGD(net.parameters(), 0.1))
    assert step.gradient == pytest.approx(expected, rel=1e-6)
    assert MEASURES["grad_zeros"](step) == pytest.approx(1 - 6 / 30)


def test_a_frozen_layer_has_no_entries():
    net = MLP((3,), 2, [4])
    net[1].requires_grad_(False)
    steps = steps_of(with_gradients(net, 3), torch.optim.SGD(net.parameters(), 0.1))
    assert [step.entries for step in steps] == [0, 10]


def test_parameters_that_are_zero_have_no_ratio_once_they_change():
    net = nn.Linear(2, 2)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    with_gradients(net, 2)
    net.bias.grad.fill_(1.0)
    (step,) = steps_of(net, torch.optim.SGD(net.parameters(), 0.1))
    assert MEASURES["update_ratio"](step) is None


def test_rms_of_a_single_step_agrees_with_the_full_measure():
    net = with_gradients(MLP((3,), 2, [4]), 3)
    net[1].weight.grad = net[1].bias.grad = None
    first, last = StepMeter(layers_of(net)).gradient_rms().tolist()
    assert math.isnan(first)
    assert last == pytest.approx(norm([p.grad for p in net[3].parameters()]) / math.sqrt(10), rel=1e-6)


def test_what_is_not_finite_is_counted_and_located():
    net = with_gradients(MLP((3,), 2, [4, 4]), 3)
    assert non_finite(layers_of(net)) == (0, [])
    net[3].weight.grad[1, 2] = math.nan
    net[3].weight.grad[0, 0] = -math.inf
    with torch.no_grad():
        net[5].bias[0] = math.nan
    assert non_finite(layers_of(net)) == (2, ["02_linear", "03_linear"])
