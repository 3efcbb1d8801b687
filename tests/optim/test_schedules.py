"""Schedules against their formulas: the rates, when they advance, and how long they are."""

from functools import partial

import pytest
from torch import nn, ones
from torch.optim import SGD, lr_scheduler

from lit_dl.optim.schedules import make_scheduler


@pytest.mark.parametrize(
    ("recipe", "interval", "rates"),
    [
        (partial(lr_scheduler.StepLR, step_size=2, gamma=0.5), "epoch", [1, 1, 0.5, 0.5, 0.25]),
        (partial(lr_scheduler.ExponentialLR, gamma=0.9), "epoch", [1, 0.9, 0.81, 0.729]),
        (partial(lr_scheduler.CosineAnnealingLR, eta_min=0.0), "step", [1, 0.853553, 0.5, 0.146447, 0]),
    ],
)
def test_schedules_follow_their_formula(recipe, interval, rates):
    optimizer = SGD([nn.Parameter(ones(1))], lr=1.0)
    scheduler, found = make_scheduler(recipe, optimizer, steps=4)
    assert found == interval
    for rate in rates:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate, abs=1e-6)
        optimizer.step()
        scheduler.step()


def test_a_schedule_without_end_is_refused():
    with pytest.raises(ValueError, match="max_epochs"):
        make_scheduler(lr_scheduler.CosineAnnealingLR, SGD([nn.Parameter(ones(1))], lr=1.0), float("inf"))


def test_a_schedule_over_the_whole_training_is_told_how_long_it_is_and_another_is_not():
    for recipe, length in ((lr_scheduler.OneCycleLR, "total_steps"), (lr_scheduler.CosineAnnealingLR, "T_max")):
        options = {"max_lr": 1.0} if length == "total_steps" else {}
        scheduler, interval = make_scheduler(partial(recipe, **options), SGD([nn.Parameter(ones(1))], lr=1.0), 70.0)
        assert (getattr(scheduler, length), interval) == (70, "step")
    scheduler, interval = make_scheduler(lr_scheduler.ReduceLROnPlateau, SGD([nn.Parameter(ones(1))], lr=1.0), 70.0)
    assert (scheduler.patience, interval) == (10, "epoch")  # torch's own
