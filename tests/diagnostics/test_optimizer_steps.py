"""Effective rates and sizes of steps, against loops over the entries of torch's state and the papers' bounds."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, RAdam, RMSprop

from lit_dl.diagnostics.optimizer_steps import RateMeter, StepHistory, rates_by_layer, step_max, step_rms
from lit_dl.diagnostics.parameters import StepMeter
from lit_dl.diagnostics.transfer import Transfer
from lit_dl.layers import layers_of
from lit_dl.models import CNN, MLP
from lit_dl.optim import scratch

LR, EPS = 0.01, 1e-8


def adam(state, step):
    return LR / (math.sqrt(state["exp_avg_sq"] / (1 - 0.999**step)) + EPS)


RATES = {  # each entry's factor, from the entries of the state and the number of the step, by the papers' formula
    "adagrad": (partial(Adagrad, eps=EPS), lambda state, step: LR / (math.sqrt(state["sum"]) + EPS)),
    "adagrad with lr_decay": (
        partial(Adagrad, eps=EPS, lr_decay=0.5),
        lambda state, step: LR / (1 + (step - 1) * 0.5) / (math.sqrt(state["sum"]) + EPS),
    ),
    "rmsprop": (partial(RMSprop, eps=EPS), lambda state, step: LR / (math.sqrt(state["square_avg"]) + EPS)),
    "adam": (Adam, adam),
    "fused adamw": (partial(AdamW, weight_decay=0.5, fused=True), adam),
    "nadam": (NAdam, adam),
    "amsgrad": (
        partial(Adam, amsgrad=True),
        lambda state, step: LR / (math.sqrt(state["max_exp_avg_sq"] / (1 - 0.999**step)) + EPS),
    ),
    "sgd": (partial(SGD, momentum=0.9), lambda state, step: LR),
    "scratch adagrad": (partial(scratch.Adagrad, eps=EPS), lambda state, step: LR / (math.sqrt(state["sum"]) + EPS)),
    "scratch rmsprop": (scratch.RMSprop, lambda state, step: LR / (math.sqrt(state["square_avg"]) + EPS)),
    "scratch adam": (scratch.Adam, adam),
    "scratch momentum": (scratch.Momentum, lambda state, step: LR),
}


def steps_of(net: nn.Module, optimizer, shape, steps: int):
    """Each layer's effective rate and step, and the parameters before it, for each of some steps."""
    layers = layers_of(net)
    meter, rates = StepMeter(layers), RateMeter(layers)
    for step in range(1, steps + 1):
        inputs = torch.randn(8, *shape, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        net(inputs).square().mean().backward()
        before = {id(p): p.detach().clone() for p in net.parameters()}
        meter.before()
        rates.before([optimizer])
        optimizer.step()
        transfer = Transfer()
        meter.after(transfer, finds_largest=True)
        rates.after(transfer)
        transfer.fetch()
        yield step, meter.read(), rates.read(), before


@pytest.mark.parametrize("name", RATES)
def test_the_effective_rate_is_the_mean_over_the_entries_weighted_by_the_roots_of_their_squares(name):
    make, rate_of = RATES[name]
    torch.manual_seed(0)
    net = CNN((1, 8, 8), 3, [2, 3])
    optimizer = make(net.parameters(), lr=LR)
    for step, _, found, _ in steps_of(net, optimizer, (1, 8, 8), 5):
        for layer, rate in zip(layers_of(net), found, strict=True):
            each = []
            for p in layer.parameters:
                state = {key: value for key, value in optimizer.state[p].items() if key != "step"}
                entries = {key: v.flatten().tolist() for key, v in state.items() if torch.is_tensor(v) and v.dim()}
                each += [rate_of({k: v[i] for k, v in entries.items()}, step) for i in range(p.numel())]
            weights = [1 / value for value in each]
            mean = sum(w * value for w, value in zip(weights, each, strict=True)) / sum(weights)
            assert rate == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("make", [Adadelta, RAdam, partial(RMSprop, centered=True)])
def test_of_an_optimizer_whose_scaling_is_not_known_no_rate_is_told(make):
    net = MLP((3,), 2, [4])
    for _, steps, found, _ in steps_of(net, make(net.parameters(), lr=LR), (3,), 2):
        assert found == [None, None]
        assert all(step_rms(step) > 0 for step in steps)


@pytest.mark.parametrize("name", ["adagrad", "adam", "sgd"])
def test_the_size_of_a_step_is_the_parameters_own_difference(name):
    net = MLP((6,), 3, [5])
    for _, steps, _, before in steps_of(net, RATES[name][0](net.parameters(), lr=LR), (6,), 3):
        for step, layer in zip(steps, layers_of(net), strict=True):
            moved = [v for p in layer.parameters for v in (p.detach() - before[id(p)]).double().flatten().tolist()]
            assert step_max(step) == pytest.approx(max(map(abs, moved)), rel=1e-6)
            assert step_rms(step) == pytest.approx(math.sqrt(sum(v * v for v in moved) / len(moved)), rel=1e-6)


def test_the_rate_is_that_of_the_step_and_not_what_a_schedule_made_of_it_since():
    net = MLP((3,), 2, [4])
    optimizer = SGD(net.parameters(), lr=LR)
    meter = RateMeter(layers_of(net))
    net(torch.ones(1, 3)).sum().backward()
    meter.before([optimizer])
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 7.0
    transfer = Transfer()
    meter.after(transfer)
    transfer.fetch()
    assert meter.read() == pytest.approx([LR, LR])


def test_frozen_layers_have_no_rate_and_a_rate_of_zero_is_told():
    net = MLP((3,), 2, [4])
    net[1].requires_grad_(False)
    for _, _, found, _ in steps_of(net, Adam(net.parameters(), lr=0.0), (3,), 2):
        assert found == [None, 0.0]


def test_adagrads_rate_never_rises():
    net = MLP((6,), 3, [5, 4])
    rates = [found for _, _, found, _ in steps_of(net, Adagrad(net.parameters(), lr=LR), (6,), 40)]
    for layer in zip(*rates, strict=True):
        assert list(layer) == sorted(layer, reverse=True)
        assert layer[-1] < layer[0]


B1, B2 = 0.9, 0.999
GRADIENTS = {  # of 1,000 steps; the last are those for which Adam steps furthest
    "normal": lambda t: torch.randn(t, generator=torch.Generator().manual_seed(0)),
    "alike": lambda t: torch.ones(t),
    "once": lambda t: torch.eye(t)[-1],
    "sparse": lambda t: (torch.rand(t, generator=torch.Generator().manual_seed(1)) < 0.01).float(),
    "worst": lambda t: (B1 / B2) ** torch.arange(t - 1, -1, -1.0),
}


def largest_step(make, gradients: torch.Tensor) -> float:
    """Of a parameter of one entry, by its own difference."""
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = make([w], lr=LR)
    most = 0.0
    for gradient in gradients.double():
        before, w.grad = w.item(), gradient.reshape(1)
        optimizer.step()
        most = max(most, abs(w.item() - before))
    return most


@pytest.mark.parametrize("kind", GRADIENTS)
def test_steps_are_bounded_by_the_rate_as_the_papers_say(kind):
    gradients = GRADIENTS[kind](1000)
    assert largest_step(Adagrad, gradients) <= LR * (1 + 1e-9)
    assert largest_step(partial(RMSprop, alpha=0.99), gradients) <= LR / math.sqrt(1 - 0.99) * (1 + 1e-9)
    once = LR * (1 - B1) / math.sqrt(1 - B2)  # Kingma and Ba 2015, section 2.1
    always = once / math.sqrt(1 - B1**2 / B2)
    for twin in (Adam, scratch.Adam):
        most = largest_step(partial(twin, betas=(B1, B2), eps=1e-16), gradients)
        assert most <= always * (1 + 1e-9)
        if kind == "alike":
            assert most == pytest.approx(LR, rel=1e-6)
        if kind == "once":  # the factor is what is left of the correction for beginning at 0
            assert most == pytest.approx(once * math.sqrt(1 - B2**1000), rel=1e-6)
        if kind == "worst":
            assert once < most


def test_rates_of_layers_are_told_where_they_differ():
    net = MLP((3,), 2, [4])
    layers = layers_of(net)
    first, last = net[1].parameters(), net[3].parameters()
    assert rates_by_layer(layers, [SGD(net.parameters(), lr=0.1)]) == [None, None]
    assert rates_by_layer(layers, [SGD([{"params": last}, {"params": first, "lr": 0.05}], lr=0.1)]) == [0.05, 0.1]


def filled() -> StepHistory:
    history = StepHistory()
    for step in (1, 5, 10):
        values = {"effective_lr": [0.1 / step, None], "step_rms": [1e-3, 0.0], "step_max": [1e-2, 1e-4]}
        history.add(step, ["01_linear", "02_linear"], values, lr=0.01)
    return history


def test_the_history_gives_lines_by_layer_and_goes_on_from_its_state():
    resumed = StepHistory()
    resumed.load(filled().state())
    for history in (filled(), resumed):
        first, second, rate = history.lines("effective_lr")
        assert first[0].tolist() == [0.5, 4.5, 9.5]  # in the middle of the steps
        assert first[1].tolist() == pytest.approx([0.1, 0.02, 0.01])
        assert len(second[0]) == 0
        assert rate[1].tolist() == pytest.approx([0.01] * 3)
        assert len(history.lines("step_rms")[1][0]) == 0  # a step of 0 has no place on a logarithmic axis
