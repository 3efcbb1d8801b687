"""Rules on numbers made by hand; tests/test_experiments.py has them on real runs."""

import math
from dataclasses import replace

import pytest
import torch

from lit_dl.diagnostics import verdict
from lit_dl.diagnostics.activations import Reading
from lit_dl.diagnostics.sight import Kind, Past, Sight
from lit_dl.diagnostics.verdict import Verdict

LAYERS = ["01_linear", "02_linear", "03_linear"]
WELL = Sight(
    step=1,
    losses=[2.3],
    layers=LAYERS,
    compared=[True] * 3,
    rms=[1e-3, 1e-3, 1e-2],
    ratio=[1e-3] * 3,
    total=1.0,
    lr=0.1,
    activations=[Reading("01_relu", 0.5, 0.5, None, 0.0, 0.0), Reading("02_relu", 0.5, 0.5, None, 0.0, 0.0)],
)


def loss_at(step: int) -> float:
    return 2.3 * math.exp(-step / 50)


def judged(sight: Sight, steps: int = 200, every: int = 20, loss=loss_at, first: Sight | None = None) -> Verdict:
    """A training in which every logged step looks alike, but for the first one if it is given."""
    found = Verdict()
    for step in [1, *range(every, steps + 1, every)]:
        previous = 0 if step == 1 else 1 if step == every else step - every
        losses = [loss(each) for each in range(previous + 1, step + 1)]
        found.see(replace(first if step == 1 and first is not None else sight, step=step, losses=losses))
    return found


def kinds(found: Verdict) -> list[str]:
    return [finding.kind for finding in found.findings]


def flat(step: int) -> float:
    return 2.3


def activation(name: str = "01_relu", **values: float) -> list[Reading]:
    return [Reading(name, 0.5, 0.5, values.get("saturated"), values.get("dead"), values.get("dead"))]


def test_a_training_that_goes_well_is_healthy_and_says_so_only_at_its_end():
    found = judged(WELL)
    assert kinds(found) == []
    assert [finding.kind for finding in found.conclude(200)] == ["healthy"]


def test_a_training_of_few_logged_steps_is_not_judged():
    found = judged(replace(WELL, rms=[1e-9, 1e-3, 1e-2]), steps=40)
    assert found.conclude(40) == []
    assert kinds(found) == []


@pytest.mark.parametrize(("share", "vanishes"), [(2e-3, False), (0.5e-3, True)])
def test_vanishing_gradients_are_those_below_a_thousandth_of_the_last_layers(share, vanishes):
    found = judged(replace(WELL, rms=[share * 1e-2, 1e-3, 1e-2]))
    assert kinds(found) == (["vanishing_gradients"] if vanishes else [])
    if vanishes:
        (finding,) = found.findings
        assert (finding.since_step, finding.layers) == (1, ["01_linear"])
        assert finding.evidence["share"] == pytest.approx(share)
        expected = f"vanishing gradients since step 1: 01_linear gets 1/{1 / share:,.0f} of 03_linear's RMS gradient"
        assert str(finding) == f"{expected}. Try: init=he"


def test_a_net_that_learns_nothing_is_measured_by_the_last_layers_first_gradient():
    settled = replace(WELL, rms=[1e-8, 1e-7, 1e-6])  # a hundredth of the last layer's now, a millionth at first
    assert kinds(judged(settled, first=WELL, loss=flat)) == ["vanishing_gradients"]
    assert kinds(judged(settled, first=WELL)) == []  # it learnt: all gradients shrink


def test_a_finding_is_said_once_it_has_held_three_logged_steps_and_fifty_steps():
    sick = replace(WELL, rms=[1e-9, 1e-3, 1e-2])
    found = Verdict()
    said = {step: [finding.kind for finding in found.see(replace(sick, step=step))] for step in range(1, 200)}
    assert [step for step, new in said.items() if new] == [51]  # it is judged every 10 steps: at 1, 11, ..., 51
    found = Verdict()
    assert [step for step in (1, 20, 40, 60, 80) if found.see(replace(sick, step=step))] == [60]
    found = Verdict()
    assert [step for step in (1, 500, 1000, 1500) if found.see(replace(sick, step=step))] == [1000]


def test_what_comes_and_goes_is_no_finding():
    found = Verdict()
    for step in range(20, 600, 20):
        found.see(replace(WELL, step=step, rms=[1e-9 if step % 60 else 1e-3, 1e-3, 1e-2]))
    assert kinds(found) == []


def test_layers_without_a_gradient_or_of_another_kind_are_not_compared():
    found = judged(replace(WELL, rms=[None, 1e-3, 1e-2], ratio=[None, 1e-3, 1e-3]))
    assert kinds(found) == []
    assert kinds(judged(replace(WELL, rms=[1e-9, 1e-3, 1e-2], compared=[False, True, True]))) == []


def test_a_gradient_that_dead_units_stop_does_not_vanish():
    dead = replace(WELL, rms=[1e-9, 1e-3, 1e-2], activations=activation(dead=0.95))
    assert kinds(judged(dead)) == ["dead_units"]


@pytest.mark.parametrize(("total", "ratio", "explodes"), [(2e3, 0.5, True), (2e3, 0.05, False), (500, 0.5, False)])
def test_exploding_gradients_are_large_and_make_weights_jump(total, ratio, explodes):
    sight = replace(WELL, total=total, ratio=[ratio, 1e-3, 1e-3])
    found = judged(sight, first=replace(WELL, total=total))
    assert ("exploding_gradients" in kinds(found)) == explodes
    if explodes:
        assert found.findings[0].advice == "init=he"  # they were large before any step
        assert found.findings[0].layers == ["01_linear"]


def test_a_gradient_that_explodes_later_is_to_be_clipped():
    found = judged(replace(WELL, total=1e4, ratio=[0.5] * 3), first=WELL)
    assert found.findings[0].kind == "exploding_gradients"
    assert found.findings[0].advice == "trainer.gradient_clip_val=1"


@pytest.mark.parametrize(("share", "found"), [(0.59, []), (0.6, ["dead_units"])])
def test_dead_units(share, found):
    assert kinds(judged(replace(WELL, activations=activation(dead=share)))) == found


@pytest.mark.parametrize(("share", "found"), [(0.49, []), (0.5, ["saturated_units"])])
def test_saturated_units(share, found):
    judgement = judged(replace(WELL, activations=activation("01_tanh", saturated=share)))
    assert kinds(judgement) == found
    assert [finding.advice for finding in judgement.findings] == ["init=xavier"] * len(found)


def test_units_that_saturate_once_much_is_learnt_are_fine():
    sight = replace(WELL, activations=activation("01_tanh", saturated=0.8))
    start = replace(WELL, activations=activation("01_tanh", saturated=0.1))
    assert kinds(judged(sight, first=start)) == []
    assert kinds(judged(sight, first=start, loss=flat)) == ["saturated_units"]


def rises(step: int) -> float:
    return 2.3 if step == 1 else 2.3 + min(step, 10)


def test_a_learning_rate_is_too_high_where_the_first_step_is_long_and_the_loss_jumps_and_stays():
    fast = replace(WELL, ratio=[0.5, 0.2, 0.2])
    found = judged(WELL, first=fast, loss=rises)
    assert kinds(found) == ["learning_rate_too_high"]
    assert found.findings[0].advice == "optimizer.lr=2e-03"  # 0.1 * 0.01 / 0.5
    assert kinds(judged(WELL, first=fast)) == []  # the loss falls: no harm done
    assert kinds(judged(WELL, loss=rises)) == []  # it rises, but not from long steps


def test_a_learning_rate_is_too_high_where_the_loss_swings_up_again_under_long_steps():
    def swings(step):
        return 2.3 if step < 20 else 0.5 if step < 60 else 1.5

    assert kinds(judged(replace(WELL, ratio=[0.2] * 3), loss=swings, first=WELL)) == ["learning_rate_too_high"]
    assert kinds(judged(WELL, loss=swings)) == []


SLOW = replace(WELL, ratio=[1e-6, 2e-6, 5e-6])


def test_a_learning_rate_is_too_low_where_all_steps_are_short_and_little_is_learnt():
    found = judged(SLOW, loss=flat)
    assert kinds(found) == ["learning_rate_too_low"]
    assert found.findings[0].advice == "optimizer.lr=2e+02"  # 0.1 * 0.01 / 5e-6
    assert kinds(judged(SLOW)) == []  # it learns
    assert kinds(judged(replace(SLOW, ratio=[1e-6, 1e-6, 1e-3]), loss=flat)) != ["learning_rate_too_low"]


def test_what_learns_nothing_is_not_called_healthy():
    found = judged(WELL, loss=flat)
    assert found.conclude(200) == []
    slow = judged(replace(WELL, ratio=[5e-4] * 3), loss=flat)
    assert [finding.kind for finding in slow.conclude(200)] == ["learning_rate_too_low"]


def test_short_steps_after_a_decay_or_while_warming_up_are_meant_so():
    assert kinds(judged(replace(SLOW, lr=1e-4), loss=flat, first=WELL)) == []
    found = Verdict()
    for step in range(20, 400, 20):
        found.see(replace(SLOW, step=step, lr=1e-4 * step, losses=[2.3] * 20))
    assert kinds(found) == []


def test_layers_that_do_not_move_at_an_ordinary_rate_are_stalled():
    still = replace(WELL, rms=[0.0, 0.0, 1e-2], ratio=[0.0, 0.0, 1e-3])
    found = judged(still, loss=flat)
    assert kinds(found) == ["stalled"]
    assert found.findings[0].layers == ["01_linear", "02_linear"]
    assert kinds(judged(still)) == []  # what is learnt needs no more


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (WELL, None),
        (replace(WELL, ratio=[0.5] * 3), "learning_rate_too_high"),
        (replace(WELL, ratio=[5.0] * 3, total=1e4), "exploding_gradients"),
    ],
)
def test_a_divergence_is_found_at_once_with_its_cause(first, kind):
    found = Verdict()
    found.see(first)
    new = found.see_divergence(7, ["02_linear"], "the loss is nan", {"batch": 6})
    assert [finding.kind for finding in new] == ["diverged", *([kind] if kind else [])]
    assert (new[0].since_step, new[0].layers) == (7, ["02_linear"])
    assert all(finding.advice == new[0].advice for finding in new)
    assert found.see_divergence(8, [], "", {}) == []


def test_overfitting_is_found_where_the_validation_loss_turned():
    found = judged(WELL)
    losses = [1.0, 0.5, 0.55, 0.58, 0.6, 0.65, 0.7, 0.8]
    new = [found.see_validation(100 * row, 1 / row, loss) for row, loss in enumerate(losses, 1)]
    assert [row for row, each in enumerate(new, 1) if each] == [7]  # five validations after the best, 20 % above it
    ((finding,),) = [each for each in new if each]
    assert (finding.kind, finding.since_step, finding.advice) == ("overfitting", 200, "early_stopping=on")
    assert finding.evidence["best_val_loss"] == 0.5


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ([1 / row for row in range(1, 10)], [1.0, 0.5, *[0.55] * 7]),  # it rose by a tenth alone
        ([1.0, 0.5, *[0.6] * 7], [1.0, 0.5, *[0.9] * 7]),  # training got worse too
        ([1.0, 0.5, *[0.45] * 7], [1.0, 0.5, *[0.9] * 7]),  # training hardly got better
        ([1 / row for row in range(1, 10)], [9.0, 5.0, *[8.0] * 7]),  # it never was better than at first
    ],
)
def test_what_is_no_overfitting(train, val):
    found = judged(WELL)
    for row, (train_loss, val_loss) in enumerate(zip(train, val, strict=True), 1):
        found.see_validation(100 * row, train_loss, val_loss)
    assert kinds(found) == []


@pytest.mark.parametrize(
    ("losses", "underfits"),
    [([2.0, 1.8, *[1.7] * 10], True), ([2.0, 1.0, *[0.5] * 10], False), ([2 - 0.05 * n for n in range(12)], False)],
    ids=["stays high", "stays low", "still falls"],
)
def test_underfitting_is_a_training_loss_that_stays_high(losses, underfits):
    found = judged(WELL)
    for loss in losses:
        found.see_epoch(loss)
    found.conclude(1000)
    assert kinds(found) == ["underfitting" if underfits else "healthy"]


def test_a_verdict_goes_on_from_its_state_through_a_checkpoint(tmp_path):
    sick = replace(WELL, rms=[1e-9, 1e-3, 1e-2], activations=activation(dead=0.7))
    whole, half = judged(sick), judged(sick, steps=40)
    torch.save(half.state(), tmp_path / "state")
    resumed = Verdict()
    resumed.load(torch.load(tmp_path / "state", weights_only=True))
    for step in range(60, 201, 20):
        resumed.see(replace(sick, step=step, losses=[loss_at(each) for each in range(step - 19, step + 1)]))
    assert resumed.findings == whole.findings
    assert resumed.state() == whole.state()


def test_every_kind_of_finding_has_a_rule_or_a_method():
    assert set(verdict.RULES) <= set(Kind.__args__)
    assert {"diverged", "overfitting", "underfitting", "healthy"} == set(Kind.__args__) - set(verdict.RULES)


@pytest.mark.parametrize(("ratio", "rate"), [(1.0, "1e-03"), (0.02, "5e-02"), (0.01, "1e-01"), (math.inf, "1e-03")])
def test_the_advised_rate_would_change_the_weights_by_a_hundredth_in_the_first_step(ratio, rate):
    past = Past(first_ratio=ratio, highest_lr=0.1)
    assert verdict.better_rate(past) == rate
