"""What is remembered of a training, against numbers taken by hand."""

import math
from dataclasses import asdict, replace
from statistics import fmean

import pytest
from tests.diagnostics.observations import WELL, activation

from lit_dl.diagnostics.observation import BLOCK, RunningStatistics


def after(*observations) -> RunningStatistics:
    stats = RunningStatistics()
    for each in observations:
        stats.add(each)
    return stats


def test_only_compared_layers_that_have_a_value_are_known():
    seen = replace(WELL, compared=[True, False, True], ratio=[None, 5.0, 2e-3])
    assert seen.known(seen.ratio) == {2: 2e-3}
    assert seen.fastest == 2e-3
    assert math.isnan(replace(seen, ratio=[None] * 3).fastest)


def test_losses_are_averaged_over_blocks_whatever_the_logged_steps():
    losses = [2.0 + math.sin(step) for step in range(3 * BLOCK + 7)]
    parts = (losses[:1], losses[1:30], losses[30:])
    stats = after(*(replace(WELL, losses=part) for part in parts))
    means = [fmean(losses[start : start + BLOCK]) for start in range(0, 3 * BLOCK, BLOCK)]
    assert stats.latest_block == pytest.approx(means[-1])
    assert stats.best_block == pytest.approx(min(means))
    assert (stats.steps, stats.first_loss, stats.largest_loss) == (len(losses), losses[0], max(losses))
    assert stats.learnt() == pytest.approx(means[-1] / losses[0])


def test_without_a_whole_block_or_a_loss_above_0_nothing_is_said_to_be_learnt():
    assert RunningStatistics().learnt() == 1.0
    assert after(replace(WELL, losses=[2.0] * (BLOCK - 1))).learnt() == 1.0
    assert after(replace(WELL, losses=[0.0] * BLOCK)).learnt() == 1.0


def test_the_first_observation_is_kept_and_of_all_the_highest():
    first = replace(WELL, rms=[1e-3, 1e-3, 0.5], total=2.0, activations=activation("01_tanh", saturated=0.3))
    later = replace(WELL, total=9.0, ratio=[0.7] * 3, activations=activation("01_tanh", saturated=0.9))
    stats = after(first, later, WELL)
    assert (stats.first_total, stats.first_ratio, stats.first_last_rms, stats.first_saturated) == (2.0, 1e-3, 0.5, 0.3)
    assert (stats.highest_total, stats.highest_ratio) == (9.0, 0.7)


def test_steps_are_counted_since_the_rate_was_raised_last():
    stats = RunningStatistics()
    for lr, count in ((0.1, 0), (0.1, 1), (0.05, 2), (0.2, 0), (0.2, 1)):  # a decay is not a rise
        stats.add(replace(WELL, lr=lr))
        assert (stats.steps_at_lr, stats.previous_lr) == (count, lr)
    assert stats.highest_lr == 0.2


def test_it_is_made_of_primitives_from_which_it_comes_back():
    stats = after(WELL, replace(WELL, losses=[1.0] * 30))
    assert RunningStatistics(**asdict(stats)) == stats
