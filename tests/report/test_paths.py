"""The paths of many runs in one picture."""

import numpy as np
from tests.folders import make_run

from lit_dl import records
from lit_dl.descent.trajectories import Trajectory
from lit_dl.report.runs import find
from lit_dl.report.settings import compare
from lit_dl.report.trajectories import trajectory_figures


def test_of_many_paths_the_best_are_drawn_and_the_title_says_so(tmp_path):
    for number in range(12):
        path = Trajectory("valley", np.arange(3), np.array([3.0, 2, number]), np.ones(3), np.ones(3))
        curves = records.CurvesRecord(trajectory=path.as_columns())
        make_run(
            tmp_path / str(number), f"l1={number}", metrics={"train/loss": number}, config={"l1": number}, curves=curves
        )
    axes = trajectory_figures(compare(find([tmp_path]), "train/loss", 0.9))["Paths"].axes[0]
    assert axes.get_title() == "The best 10 of 12 paths"
    lines = [line for line in axes.lines if line.get_marker() == "None"]
    assert sorted(line.get_xdata()[-1] for line in lines) == list(range(10))
