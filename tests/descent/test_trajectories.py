"""Trajectories: which points are kept, and what is drawn of them."""

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from lit_dl.descent.figures import trajectory_figure, write_race
from lit_dl.descent.surfaces import SURFACES
from lit_dl.descent.trajectories import Trajectory, read_trajectory


def spiral(turns: float, steps: int = 20_000) -> Trajectory:
    """Into (3, 2): most of its length in the first of its steps."""
    step = np.arange(steps + 1)
    radius, angle = 3 * np.exp(-step / 50), turns * 2 * np.pi * (1 - np.exp(-step / 50))
    x, y = 3 + radius * np.cos(angle), 2 + radius * np.sin(angle)
    return Trajectory("himmelblau", step, x, y, SURFACES["himmelblau"].f(x, y))


def test_a_thinned_trajectory_keeps_its_ends_and_its_form():
    trajectory = spiral(turns=3)
    thin = trajectory.thinned(1000)
    assert 500 < len(thin.step) <= 1000
    assert thin.step[0] == 0
    assert thin.step[-1] == 20_000
    assert set(thin.step[:50]) == set(range(50))  # where every step is a long one
    assert np.diff(thin.step).max() <= 2 * 20_000 / 1000 + 1  # half of the points are spread by steps
    assert np.array_equal(thin.x, trajectory.x[thin.step.astype(int)])
    assert spiral(1, steps=99).thinned(100).step.tolist() == list(range(100))


def test_a_point_that_does_not_move_is_thinned_too():
    still = Trajectory("saddle", np.arange(2001), np.zeros(2001), np.zeros(2001), np.full(2001, 0.25))
    thin = still.thinned(1000)
    assert thin.step[[0, -1]].tolist() == [0, 2000]
    assert len(thin.step) <= 1000


def test_a_trajectory_goes_through_json_also_where_it_is_not_finite():
    trajectory = Trajectory(
        "valley", np.arange(3), np.array([1.0, 1e30, np.inf]), np.array([2.0, 3.0, np.nan]), np.ones(3)
    )
    columns = trajectory.as_columns()
    columns["x"][2] = columns["y"][2] = None  # as records writes what is not finite
    again = read_trajectory(json.loads(json.dumps(columns)))
    assert again.x.tolist()[:2] == [1.0, 1e30]
    assert np.isnan(again.x[2])
    assert len(again.thinned(2).step) == 2
    assert read_trajectory({}) is None
    assert read_trajectory({**columns, "surface": "of another version"}) is None


def test_the_picture_has_each_trajectory_from_its_start_to_its_end_and_the_minima():
    trajectories = {"one": spiral(1), "two": spiral(2)}
    axes = trajectory_figure(trajectories).axes[0]
    minima = [line.get_xydata()[0].tolist() for line in axes.lines if line.get_marker() == "x"]
    assert minima == [list(at) for at in SURFACES["himmelblau"].minima]
    lines = [line for line in axes.lines if line.get_marker() == "None"]
    assert [line.get_xydata()[0].tolist() for line in lines] == [[6, 2], [6, 2]]
    assert all(line.get_xydata()[-1] == pytest.approx([3, 2], abs=1e-6) for line in lines)
    assert axes.get_xlim()[1] > 6  # wide enough for the start


def test_in_the_race_all_move_at_the_same_time_and_it_is_small(tmp_path):
    trajectories = {"one": spiral(1, steps=400), "two": spiral(2, steps=200)}
    write_race(trajectories, tmp_path / "race.gif")
    assert (tmp_path / "race.gif").stat().st_size < 2_000_000
    with Image.open(tmp_path / "race.gif") as race:
        frames = []
        for number in range(race.n_frames):
            race.seek(number)
            frames.append(np.asarray(race.convert("L")))
    assert 30 <= len(frames) <= 81
    assert all((before != after).any() for before, after in pairwise(frames))
