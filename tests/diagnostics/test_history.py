"""Columns against means taken by hand."""

import math

import numpy as np
import pytest

from lit_dl.diagnostics.history import COLUMNS, FLOOR, History


def filled(steps: int) -> History:
    history = History()
    for step in range(1, steps + 1):
        history.add_layers(step, ["a", "b"], [10.0 ** -(step % 5), None])
        history.add_losses(step, [float(step)])
    return history


@pytest.mark.parametrize("steps", [1, 7, COLUMNS, COLUMNS + 1, 5000])
def test_each_column_is_the_mean_of_its_steps_however_often_neighbours_were_merged(steps):
    history = filled(steps)
    span = 1
    while span * COLUMNS < steps:
        span *= 2
    assert history.span == span
    columns = [list(range(first, min(first + span, steps + 1))) for first in range(1, steps + 1, span)]
    expected = [np.mean([-(step % 5) for step in column]) for column in columns]
    assert history.logs()[0].tolist() == pytest.approx(expected)
    assert np.isnan(history.logs()[1]).all()
    places, losses = history.losses()
    assert losses.tolist() == pytest.approx([np.mean(column) for column in columns])
    assert places.tolist() == pytest.approx([(number + 0.5) * span for number in range(len(columns))])


def test_zeros_are_drawn_at_the_floor_and_what_is_not_finite_is_left_out():
    history = History()
    history.add_layers(1, ["a", "b"], [0.0, math.nan])
    history.add_losses(1, [math.inf])
    assert history.logs()[:, 0].tolist() == pytest.approx([math.log10(FLOOR), math.nan], nan_ok=True)
    assert len(history.losses()[1]) == 0


def test_between_logged_steps_stands_the_value_of_the_later_one():
    history = History()
    for step, value in ((1, 1e-1), (4, 1e-2)):
        history.add_layers(step, ["a", "b"], [value, None])
    history.add_losses(1, [1.0] * 6)
    assert history.logs()[0].tolist() == pytest.approx([-1, -2, -2, -2, -2, -2])
    assert np.isnan(history.logs()[1]).all()
    assert history.losses()[1].tolist() == [1.0] * 6


def test_a_history_goes_on_from_its_state_as_if_nothing_had_been():
    whole, half = filled(1500), History()
    half.load(filled(700).state())
    for step in range(701, 1501):
        half.add_layers(step, ["a", "b"], [10.0 ** -(step % 5), None])
        half.add_losses(step, [float(step)])
    assert half.state() == whole.state()
    empty = History()
    empty.load(History().state())
    assert empty.state() == History().state()
