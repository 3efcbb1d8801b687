"""What becomes a finding, and when, on numbers made by hand."""

from dataclasses import replace

import pytest
import torch
from tests.diagnostics.observations import WELL, activation, diagnosed, flat, kinds, loss_at

from lit_dl.diagnostics.diagnosis import Diagnosis
from lit_dl.records import Advice


def test_a_training_that_goes_well_is_healthy_and_says_so_only_at_its_end():
    found = diagnosed(WELL)
    assert kinds(found) == []
    assert [finding.kind for finding in found.conclude(200)] == ["healthy"]


def test_a_training_of_few_logged_steps_is_not_diagnosed():
    found = diagnosed(replace(WELL, rms=[1e-9, 1e-3, 1e-2]), steps=40)
    assert found.conclude(40) == []
    assert kinds(found) == []


def test_a_finding_is_said_once_it_has_held_three_logged_steps_and_fifty_steps():
    sick = replace(WELL, rms=[1e-9, 1e-3, 1e-2])
    found = Diagnosis()
    said = {step: [finding.kind for finding in found.see(replace(sick, step=step))] for step in range(1, 200)}
    assert [step for step, new in said.items() if new] == [51]  # it is judged every 10 steps: at 1, 11, ..., 51
    found = Diagnosis()
    assert [step for step in (1, 20, 40, 60, 80) if found.see(replace(sick, step=step))] == [60]
    found = Diagnosis()
    assert [step for step in (1, 500, 1000, 1500) if found.see(replace(sick, step=step))] == [1000]


def test_what_comes_and_goes_is_no_finding():
    found = Diagnosis()
    for step in range(20, 600, 20):
        found.see(replace(WELL, step=step, rms=[1e-9 if step % 60 else 1e-3, 1e-3, 1e-2]))
    assert kinds(found) == []


def test_what_learns_nothing_is_not_called_healthy():
    found = diagnosed(WELL, loss=flat)
    assert found.conclude(200) == []
    slow = diagnosed(replace(WELL, ratio=[5e-4] * 3), loss=flat)
    assert [finding.kind for finding in slow.conclude(200)] == ["learning_rate_too_low"]


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (WELL, None),
        (replace(WELL, ratio=[0.5] * 3), "learning_rate_too_high"),
        (replace(WELL, ratio=[5.0] * 3, total=1e4), "exploding_gradients"),
    ],
)
def test_a_divergence_is_found_at_once_with_its_cause(first, kind):
    found = Diagnosis()
    found.see(first)
    new = found.see_divergence(7, ["02_linear"], "the loss is nan", {"batch": 6})
    assert [finding.kind for finding in new] == ["diverged", *([kind] if kind else [])]
    assert (new[0].since_step, new[0].layers) == (7, ["02_linear"])
    assert all(finding.advice == new[0].advice for finding in new)
    assert found.see_divergence(8, [], "", {}) == []


def test_overfitting_is_found_where_the_validation_loss_turned():
    found = diagnosed(WELL)
    losses = [1.0, 0.5, 0.55, 0.58, 0.6, 0.65, 0.7, 0.8]
    new = [found.see_validation(100 * row, 1 / row, loss) for row, loss in enumerate(losses, 1)]
    assert [row for row, each in enumerate(new, 1) if each] == [7]  # five validations after the best, 20 % above it
    ((finding,),) = [each for each in new if each]
    assert (finding.kind, finding.since_step, finding.advice) == ("overfitting", 200, (Advice("early_stopping", "on"),))
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
    found = diagnosed(WELL)
    for row, (train_loss, val_loss) in enumerate(zip(train, val, strict=True), 1):
        found.see_validation(100 * row, train_loss, val_loss)
    assert kinds(found) == []


@pytest.mark.parametrize(
    ("losses", "underfits"),
    [([2.0, 1.8, *[1.7] * 10], True), ([2.0, 1.0, *[0.5] * 10], False), ([2 - 0.05 * n for n in range(12)], False)],
    ids=["stays high", "stays low", "still falls"],
)
def test_underfitting_is_a_training_loss_that_stays_high(losses, underfits):
    found = diagnosed(WELL)
    for loss in losses:
        found.see_epoch(loss)
    found.conclude(1000)
    assert kinds(found) == ["underfitting" if underfits else "healthy"]


def test_a_diagnosis_goes_on_from_its_state_through_a_checkpoint(tmp_path):
    sick = replace(WELL, rms=[1e-9, 1e-3, 1e-2], activations=activation(dead=0.7))
    whole, half = diagnosed(sick), diagnosed(sick, steps=40)
    torch.save(half.state(), tmp_path / "state")
    resumed = Diagnosis()
    resumed.load(torch.load(tmp_path / "state", weights_only=True))
    for step in range(60, 201, 20):
        resumed.see(replace(sick, step=step, losses=[loss_at(each) for each in range(step - 19, step + 1)]))
    assert resumed.findings == whole.findings
    assert resumed.state() == whole.state()
