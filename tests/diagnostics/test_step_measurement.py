"""A step of the optimizer against loops over the entries of gradients and weights."""

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad

from lit_dl.diagnostics.parameters import MEASURES
from lit_dl.diagnostics.step_measurement import Meters, StepMeasurement, Values
from lit_dl.diagnostics.transfer import Transfer
from lit_dl.layers import layers_of

ONE = torch.ones(())
PLAIN = {*MEASURES, "lr"}


def norm(tensors) -> float:
    return math.sqrt(sum(value**2 for tensor in tensors for value in tensor.double().flatten().tolist()))


def net_with_gradients() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.LayerNorm(3))
    net(torch.randn(8, 4)).square().sum().backward()
    return net


def read(measurement: StepMeasurement, is_clipped: bool = False) -> Values:
    transfer = Transfer()
    measurement.send(transfer, is_clipped)
    transfer.fetch()
    return measurement.read()


def test_every_measure_of_every_layer_is_that_of_a_loop():
    net = net_with_gradients()
    optimizer = SGD(net.parameters(), lr=0.1)
    meters = Meters(layers_of(net), [optimizer], optimizer_steps=False)
    before = [p.detach().clone() for p in net.parameters()]
    gradients = [p.grad.clone() for p in net.parameters()]
    measurement = StepMeasurement(meters, [optimizer], ONE, counts_zeros=True)
    optimizer.step()
    values = read(measurement)
    assert values.keys() == PLAIN
    for row in range(3):  # a weight and a bias each
        g, w = gradients[2 * row : 2 * row + 2], before[2 * row : 2 * row + 2]
        entries = sum(each.numel() for each in g)
        assert values["grad_norm"][row] == pytest.approx(norm(g), rel=1e-6)
        assert values["grad_rms"][row] == pytest.approx(norm(g) / math.sqrt(entries), rel=1e-6)
        assert values["grad_zeros"][row] == pytest.approx(sum(int((each == 0).sum()) for each in g) / entries)
        assert values["weight_norm"][row] == pytest.approx(norm(w), rel=1e-6)
        assert values["update_ratio"][row] == pytest.approx(0.1 * norm(g) / norm(w), rel=1e-5)
    assert measurement.totals() == {"grad_norm/total": pytest.approx(norm(gradients), rel=1e-6)}


def test_with_clipping_the_norm_that_was_left_is_told_beside_the_whole_one():
    net = net_with_gradients()
    optimizer = SGD(net.parameters(), lr=0.1)
    whole = norm([p.grad for p in net.parameters()])
    meters = Meters(layers_of(net), [optimizer], optimizer_steps=False)
    measurement = StepMeasurement(meters, [optimizer], ONE, counts_zeros=False)
    nn.utils.clip_grad_norm_(net.parameters(), whole / 10)
    optimizer.step()
    values = read(measurement, is_clipped=True)
    totals = measurement.totals()
    assert totals["grad_norm/total"] == pytest.approx(whole, rel=1e-6)
    assert totals["grad_norm_clipped/total"] == pytest.approx(whole / 10, rel=1e-4)
    assert values["grad_zeros"] == [None] * 3  # not counted


def test_gradients_are_freed_of_the_scale_and_weights_have_none():
    net = net_with_gradients()
    optimizer = SGD(net.parameters(), lr=0.0)
    gradient, weight = norm([p.grad for p in net[0].parameters()]), norm(net[0].parameters())
    for p in net.parameters():
        p.grad *= 1024
    meters = Meters(layers_of(net), [optimizer], optimizer_steps=False)
    measurement = StepMeasurement(meters, [optimizer], 1024 * ONE, counts_zeros=False)
    values = read(measurement)
    assert values["grad_norm"][0] == pytest.approx(gradient, rel=1e-6)
    assert values["weight_norm"][0] == pytest.approx(weight, rel=1e-6)


def test_the_rates_are_those_of_the_step_and_not_what_a_schedule_made_of_them_since():
    net = net_with_gradients()
    optimizer = SGD([{"params": net[2].parameters()}, {"params": net[0].parameters(), "lr": 0.05}], lr=0.1)
    meters = Meters(layers_of(net), [optimizer], optimizer_steps=True)
    measurement = StepMeasurement(meters, [optimizer], ONE, counts_zeros=False)
    optimizer.step()
    for group in optimizer.param_groups:
        group["lr"] = 7.0
    values = read(measurement)
    assert measurement.lr == 0.1
    assert values["lr"] == [0.05, 0.1, None]  # no optimizer has the norm
    assert values["effective_lr"] == [pytest.approx(0.05), pytest.approx(0.1), None]


def test_what_the_optimizer_makes_of_the_gradients_is_measured_on_request_alone():
    net = net_with_gradients()
    optimizer = Adagrad(net.parameters(), lr=0.1)
    before = [p.detach().clone() for p in net[0].parameters()]
    meters = Meters(layers_of(net), [optimizer], optimizer_steps=True)
    measurement = StepMeasurement(meters, [optimizer], ONE, counts_zeros=False)
    optimizer.step()
    values = read(measurement)
    assert values.keys() - PLAIN == {"effective_lr", "step_rms", "step_max"}
    moved = [p.detach() - old for p, old in zip(net[0].parameters(), before, strict=True)]
    assert values["step_rms"][0] == pytest.approx(norm(moved) / math.sqrt(25), rel=1e-6)
    assert values["step_max"][0] == pytest.approx(max(each.abs().max().item() for each in moved), rel=1e-6)


def test_a_layer_without_a_gradient_has_no_values():
    net = net_with_gradients()
    net[0].weight.grad = net[0].bias.grad = None
    optimizer = SGD(net.parameters(), lr=0.1)
    meters = Meters(layers_of(net), [optimizer], optimizer_steps=True)
    measurement = StepMeasurement(meters, [optimizer], ONE, counts_zeros=True)
    optimizer.step()
    assert {tag for tag, each in read(measurement).items() if each[0] is not None} == set()


def test_only_layers_that_an_optimizer_has_and_that_every_sample_uses_are_compared():
    net = net_with_gradients()
    whole = SGD(net.parameters(), lr=0.1)
    last = SGD([*net[2].parameters(), *net[3].parameters()], lr=0.1)
    for optimizer, compared in ((whole, [True, True, False]), (last, [False, True, False])):  # a norm never is
        meters = Meters(layers_of(net), [optimizer], optimizer_steps=False)
        assert (meters.names, meters.compared) == (["01_linear", "02_linear", "03_layernorm"], compared)


def test_it_tells_before_the_step_whether_the_gradient_is_finite():
    net = net_with_gradients()
    optimizer = SGD(net.parameters(), lr=0.1)
    meters = Meters(layers_of(net), [optimizer], optimizer_steps=False)
    assert StepMeasurement(meters, [optimizer], ONE, counts_zeros=False).is_finite()
    net[2].weight.grad[1, 2] = math.nan
    assert not StepMeasurement(meters, [optimizer], ONE, counts_zeros=False).is_finite()
