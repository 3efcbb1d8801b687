"""Rules on numbers made by hand; tests/test_experiments.py has them on real runs."""

import math
from dataclasses import replace
from typing import get_args

import pytest
from tests.diagnostics.observations import WELL, activation, diagnosed, flat, kinds

from lit_dl.diagnostics.diagnosis import Diagnosis
from lit_dl.diagnostics.observation import RunningStatistics
from lit_dl.diagnostics.rules import RULES, symptoms
from lit_dl.diagnostics.symptom import better_rate
from lit_dl.records import Advice, Kind
from lit_dl.records.finding import as_overrides, as_torch

HE, XAVIER = Advice("init", "he"), Advice("init", "xavier")


@pytest.mark.parametrize(("share", "vanishes"), [(2e-3, False), (0.5e-3, True)])
def test_vanishing_gradients_are_those_below_a_thousandth_of_the_last_layers(share, vanishes):
    found = diagnosed(replace(WELL, rms=[share * 1e-2, 1e-3, 1e-2]))
    assert kinds(found) == (["vanishing_gradients"] if vanishes else [])
    if vanishes:
        (finding,) = found.findings
        assert (finding.since_step, finding.layers) == (1, ["01_linear"])
        assert finding.evidence["share"] == pytest.approx(share)
        expected = f"vanishing gradients since step 1: 01_linear gets 1/{1 / share:,.0f} of 03_linear's RMS gradient"
        assert finding.in_words(as_overrides) == f"{expected}. Try: init=he"
        assert finding.in_words(as_torch) == f"{expected}. Try: torch.nn.init.kaiming_normal_(layer.weight)"


def test_a_net_that_learns_nothing_is_measured_by_the_last_layers_first_gradient():
    settled = replace(WELL, rms=[1e-8, 1e-7, 1e-6])  # a hundredth of the last layer's now, a millionth at first
    assert kinds(diagnosed(settled, first=WELL, loss=flat)) == ["vanishing_gradients"]
    assert kinds(diagnosed(settled, first=WELL)) == []  # it learnt: all gradients shrink


def test_layers_without_a_gradient_or_of_another_kind_are_not_compared():
    found = diagnosed(replace(WELL, rms=[None, 1e-3, 1e-2], ratio=[None, 1e-3, 1e-3]))
    assert kinds(found) == []
    assert kinds(diagnosed(replace(WELL, rms=[1e-9, 1e-3, 1e-2], compared=[False, True, True]))) == []


def test_a_gradient_that_dead_units_stop_does_not_vanish():
    dead = replace(WELL, rms=[1e-9, 1e-3, 1e-2], activations=activation(dead=0.95))
    assert kinds(diagnosed(dead)) == ["dead_units"]


@pytest.mark.parametrize(("total", "ratio", "explodes"), [(2e3, 0.5, True), (2e3, 0.05, False), (500, 0.5, False)])
def test_exploding_gradients_are_large_and_make_weights_jump(total, ratio, explodes):
    seen = replace(WELL, total=total, ratio=[ratio, 1e-3, 1e-3])
    found = diagnosed(seen, first=replace(WELL, total=total))
    assert ("exploding_gradients" in kinds(found)) == explodes
    if explodes:
        assert found.findings[0].advice == (HE,)  # they were large before any step
        assert found.findings[0].layers == ["01_linear"]


def test_a_gradient_that_explodes_later_is_to_be_clipped():
    found = diagnosed(replace(WELL, total=1e4, ratio=[0.5] * 3), first=WELL)
    assert found.findings[0].kind == "exploding_gradients"
    assert found.findings[0].advice == (Advice("gradient_clip", "1"),)


@pytest.mark.parametrize(("share", "found"), [(0.59, []), (0.6, ["dead_units"])])
def test_dead_units(share, found):
    assert kinds(diagnosed(replace(WELL, activations=activation(dead=share)))) == found


@pytest.mark.parametrize(("share", "found"), [(0.49, []), (0.5, ["saturated_units"])])
def test_saturated_units(share, found):
    diagnosis = diagnosed(replace(WELL, activations=activation("01_tanh", saturated=share)))
    assert kinds(diagnosis) == found
    assert [finding.advice for finding in diagnosis.findings] == [(XAVIER,)] * len(found)


def test_units_that_saturate_once_much_is_learnt_are_fine():
    seen = replace(WELL, activations=activation("01_tanh", saturated=0.8))
    start = replace(WELL, activations=activation("01_tanh", saturated=0.1))
    assert kinds(diagnosed(seen, first=start)) == []
    assert kinds(diagnosed(seen, first=start, loss=flat)) == ["saturated_units"]


def rises(step: int) -> float:
    return 2.3 if step == 1 else 2.3 + min(step, 10)


def test_a_learning_rate_is_too_high_where_the_first_step_is_long_and_the_loss_jumps_and_stays():
    fast = replace(WELL, ratio=[0.5, 0.2, 0.2])
    found = diagnosed(WELL, first=fast, loss=rises)
    assert kinds(found) == ["learning_rate_too_high"]
    assert found.findings[0].advice == (Advice("lr", "2e-03"),)  # 0.1 * 0.01 / 0.5
    assert kinds(diagnosed(WELL, first=fast)) == []  # the loss falls: no harm done
    assert kinds(diagnosed(WELL, loss=rises)) == []  # it rises, but not from long steps


def test_a_learning_rate_is_too_high_where_the_loss_swings_up_again_under_long_steps():
    def swings(step):
        return 2.3 if step < 20 else 0.5 if step < 60 else 1.5

    assert kinds(diagnosed(replace(WELL, ratio=[0.2] * 3), loss=swings, first=WELL)) == ["learning_rate_too_high"]
    assert kinds(diagnosed(WELL, loss=swings)) == []


SLOW = replace(WELL, ratio=[1e-6, 2e-6, 5e-6])


def test_a_learning_rate_is_too_low_where_all_steps_are_short_and_little_is_learnt():
    found = diagnosed(SLOW, loss=flat)
    assert kinds(found) == ["learning_rate_too_low"]
    assert found.findings[0].advice == (Advice("lr", "2e+02"),)  # 0.1 * 0.01 / 5e-6
    assert kinds(diagnosed(SLOW)) == []  # it learns
    assert kinds(diagnosed(replace(SLOW, ratio=[1e-6, 1e-6, 1e-3]), loss=flat)) != ["learning_rate_too_low"]


def test_short_steps_after_a_decay_or_while_warming_up_are_meant_so():
    assert kinds(diagnosed(replace(SLOW, lr=1e-4), loss=flat, first=WELL)) == []
    found = Diagnosis()
    for step in range(20, 400, 20):
        found.see(replace(SLOW, step=step, lr=1e-4 * step, losses=[2.3] * 20))
    assert kinds(found) == []


def test_layers_that_do_not_move_at_an_ordinary_rate_are_stalled():
    still = replace(WELL, rms=[0.0, 0.0, 1e-2], ratio=[0.0, 0.0, 1e-3])
    found = diagnosed(still, loss=flat)
    assert kinds(found) == ["stalled"]
    assert found.findings[0].layers == ["01_linear", "02_linear"]
    assert kinds(diagnosed(still)) == []  # what is learnt needs no more


def test_what_another_symptom_explains_is_not_said_beside_it():
    stats = RunningStatistics(first_loss=2.3, latest_block=2.3, first_last_rms=1e-2, steps_at_lr=1000)
    still = replace(WELL, rms=[1e-2] * 3, ratio=[0.0, 1e-3, 1e-3])
    assert set(symptoms(still, stats)) == {"stalled"}
    assert set(symptoms(replace(still, rms=[1e-9, 1e-2, 1e-2]), stats)) == {"vanishing_gradients"}
    assert set(symptoms(replace(still, activations=activation(dead=0.95)), stats)) == {"dead_units"}
    assert set(symptoms(replace(still, ratio=[1e-7] * 3), stats)) == {"learning_rate_too_low"}


def test_every_kind_of_finding_has_a_rule_or_a_method():
    every = set(get_args(Kind))
    assert set(RULES) <= every
    assert every - set(RULES) == {"diverged", "overfitting", "underfitting", "healthy"}


@pytest.mark.parametrize(("ratio", "rate"), [(1.0, "1e-03"), (0.02, "5e-02"), (0.01, "1e-01"), (math.inf, "1e-03")])
def test_the_advised_rate_would_change_the_weights_by_a_hundredth_in_the_first_step(ratio, rate):
    stats = RunningStatistics(first_ratio=ratio, highest_lr=0.1)
    assert better_rate(stats) == Advice("lr", rate)
