"""Losses wait on the device until they are read, and then all who ask for them have them."""

import math
from statistics import fmean

import pytest
import torch

from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.losses import MOST_KEPT, LossBuffer, Mean
from lit_dl.diagnostics.transfer import Transfer


def buffer_of(*steps: list[float | None], history: History | None = None) -> LossBuffer:
    """Steps made of batches with these losses."""
    buffer = LossBuffer(history or History())
    for batches in steps:
        for loss in batches:
            buffer.add(torch.tensor(loss))
        buffer.end_step()
    return buffer


def test_the_losses_of_accumulated_batches_are_that_of_their_step():
    history = History()
    buffer = buffer_of([0.5, 0.25], [1.0], [2.0, 4.0, 8.0], history=history)
    buffer.read_now(step=3)
    assert buffer.since_observation == [0.75, 1.0, 14.0]
    assert buffer.since_validation.value() == buffer.since_epoch.value() == 15.75 / 3
    places, losses = history.losses()
    assert (places.tolist(), losses.tolist()) == ([0.5, 1.5, 2.5], [0.75, 1.0, 14.0])  # in the middle of the steps


def test_losses_read_later_stand_at_their_own_steps():
    history = History()
    buffer = buffer_of([1.0], [2.0], history=history)
    buffer.read_now(step=12)
    assert history.losses()[0].tolist() == [10.5, 11.5]


def test_a_step_without_a_loss_is_left_out():
    buffer = buffer_of([1.0], [], [2.0])
    buffer.read_now(step=3)
    assert buffer.since_observation == [1.0, 2.0]


def test_the_loss_of_a_step_that_was_not_made_yet_is_not_read():
    buffer = buffer_of([1.0])
    buffer.add(torch.tensor(2.0))
    buffer.read_now(step=1)
    assert buffer.since_observation == [1.0]
    buffer.end_step()
    buffer.read_now(step=2)
    assert buffer.since_observation == [1.0, 2.0]


def test_who_begins_anew_does_so_alone():
    buffer = buffer_of([1.0], [2.0])
    buffer.read_now(step=2)
    buffer.since_validation.clear()
    buffer.add(torch.tensor(4.0))
    buffer.end_step()
    buffer.read_now(step=3)
    assert (buffer.since_validation.value(), buffer.since_epoch.value()) == (4.0, 7.0 / 3)


def test_they_travel_with_others_and_numbers_that_need_no_transfer_stay_in_place():
    buffer, transfer = LossBuffer(History()), Transfer()
    for loss in (torch.tensor(1.0), 2.0, torch.tensor(4.0)):
        buffer.add(loss)
        buffer.end_step()
    before = transfer.add([torch.tensor(-1.0)])
    buffer.send(transfer)
    after = transfer.add([torch.tensor(-2.0)])
    transfer.fetch()
    buffer.read(step=3)
    assert buffer.since_observation == pytest.approx([1.0, 2.0, 4.0])
    assert (before.values, after.values) == ([-1.0], [-2.0])


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_a_mean_is_that_of_all_losses_to_the_bit_in_bounded_memory(scale):
    torch.manual_seed(0)
    losses = (scale * torch.randn(100_000, dtype=torch.float64).exp()).tolist()
    mean = Mean()
    for first in range(0, len(losses), 50):
        mean.add(losses[first : first + 50])
        assert len(mean._kept) <= MOST_KEPT
    assert (mean.value(), mean.count) == (fmean(losses), len(losses))


def test_a_mean_of_losses_that_are_not_finite_is_none():
    mean = Mean()
    for _ in range(3):
        mean.add([1.0, math.nan] * MOST_KEPT)
    assert math.isnan(mean.value())
