"""A surface is descended by the command as by a loop written by hand."""

import json
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.runs import choices, events, request, steps_and_values

from lit_dl import records
from lit_dl.descent.surfaces import himmelblau
from lit_dl.run.build import build

THE_COURSE = {  # as the course has it: the point after the step, f before it
    0: (0.0010, 0.0010, 170.0),
    2000: (2.3331807, 1.9540695, 13.730916),
    4000: (2.9820080, 2.0270985, 0.0148589),
    6000: (2.9999836, 2.0000222, 1.1074e-08),
    16000: (3.0, 2.0, 0.0),
}
FEW = ("experiment=himmelblau", "logger=off", "trainer.max_steps=50")


def printed_table(out: str) -> dict[int, tuple[float, ...]]:
    """Rows of step, x, y and f."""
    found = re.findall(r"^\s*([\d,]+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", out, re.MULTILINE)
    return {int(step.replace(",", "")): (float(x), float(y), float(f)) for step, x, y, f in found}


def by_hand(steps: int) -> list[tuple[float, float, float]]:
    """x and y after each step and f before it."""
    point = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([point], lr=0.001, fused=True)
    rows = []
    for _ in range(steps):
        f = himmelblau(*point.unbind())
        optimizer.zero_grad()
        f.backward()
        optimizer.step()
        rows.append((*point.tolist(), f.item()))
    return rows


@pytest.mark.slow
def test_himmelblau_prints_the_table_of_the_notes_to_five_digits(command):
    table = printed_table(command("experiment=himmelblau").out)
    assert list(table) == [*range(0, 20_000, 2000), 19_999]
    for step, expected in THE_COURSE.items():
        assert [f"{value:.5g}" for value in table[step]] == [f"{value:.5g}" for value in expected]


def test_the_descent_is_that_of_a_loop_by_hand_to_the_bit(command):
    result = command("experiment=himmelblau", "trainer.max_steps=300", "trainer.log_every_n_steps=20")
    hand = by_hand(300)
    table = printed_table(result.out)
    assert list(table) == [*range(0, 300, 30), 299]
    for step, row in table.items():
        assert row == tuple(float(f"{value:.8g}") for value in hand[step])
    trajectory = records.read_curves(result.folder).trajectory
    assert trajectory["surface"] == "himmelblau"
    assert trajectory["step"] == list(range(301))
    assert list(zip(trajectory["x"][1:], trajectory["y"][1:], trajectory["f"][:-1], strict=True)) == [
        tuple(float(f"{value:.8g}") for value in row) for row in hand
    ]
    for tag, column in (("point/x", 0), ("point/y", 1), ("train/loss", 2)):
        steps, values = steps_and_values(result.folder, tag)
        assert steps == [1, *range(20, 301, 20)]
        assert values == [hand[step - 1][column] for step in steps]
    norms = steps_and_values(result.folder, "grad_norm/total")[1]
    assert norms[0] == pytest.approx((14**2 + 22**2) ** 0.5)  # the gradient at (0, 0) is (-14, -22)
    assert result.record.metrics == {"train/loss": himmelblau(*torch.tensor(hand[-1][:2])).item()}
    assert result.record.status == "completed"
    assert result.record.diagnosis == []
    assert "healthy" not in result.out
    assert events(result.folder).Images("path")
    with Image.open(result.folder / "path.png") as picture:
        assert picture.size[0] > 500


@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_every_optimizer_descends(optimizer, tmp_path):
    run = build(request(tmp_path, *FEW, f"optimizer={optimizer}", "trainer.enable_progress_bar=false"))
    run.trainer.fit(run.task, run.data)
    assert run.trainer.global_step == 50
    trajectory = run.task.trajectory()
    assert len(trajectory.step) == 51
    assert trajectory.f[-1] < trajectory.f[0] == 170


def test_a_start_is_set_by_model_start(command):
    result = command(*FEW, "model.start=[-4,0]", "trainer.accumulate_grad_batches=2")
    trajectory = records.read_curves(result.folder).trajectory
    assert (trajectory["x"][0], trajectory["y"][0]) == (-4, 0)
    assert trajectory["step"] == list(range(51))


def test_a_point_that_never_moves_leaves_its_record_too(command):
    result = command("experiment=saddle", "model.start=[0,0]", "trainer.max_steps=1100", "logger=off")
    assert result.code == 0, result.err
    assert result.record.metrics["train/loss"] == pytest.approx(0.25)


def test_a_point_that_diverges_at_once_leaves_its_record_too(command):
    result = command("experiment=himmelblau", "model.start=[1e30,0]", "trainer.max_steps=10")
    assert result.code == 0, result.err
    assert result.record.status == "diverged"


def test_a_resumed_descent_is_that_of_one_go_with_its_whole_trajectory(command):
    command("experiment=himmelblau", "logger=off", "data.steps=20", "trainer.max_steps=60", "hydra.run.dir=whole")
    command("experiment=himmelblau", "logger=off", "data.steps=20", "trainer.max_steps=40", "hydra.run.dir=half")
    assert command("resume=half", "trainer.max_steps=60").code == 0
    trajectories = [records.read_curves(command_folder).trajectory for command_folder in map(Path, ("whole", "half"))]
    assert len(trajectories[0]["step"]) == 61
    assert trajectories[0] == trajectories[1]


def test_too_large_a_rate_diverges_and_is_drawn_up_to_there(command):
    result = command("experiment=himmelblau", "logger=off", "optimizer=sgd", "optimizer.lr=0.1")
    assert result.code == 0
    assert result.record.status == "diverged"
    finding = result.record.diagnosis[0]
    assert (finding.kind, finding.advice) == ("diverged", (records.Advice("lr", "1e-02"),))
    assert (result.folder / "path.png").is_file()
    assert len(records.read_curves(result.folder).trajectory["x"]) >= 3
    json.loads((result.folder / "curves.json").read_text())


def test_without_diagnostics_it_diverges_too(command):
    result = command("experiment=himmelblau", "logger=off", "diagnostics=off", "optimizer=sgd", "optimizer.lr=0.1")
    assert result.record.status == "diverged"


def test_early_stopping_watches_f(command):
    overrides = ("data.steps=10", "early_stopping=on", "early_stopping.monitor=train/loss", "model.start=[3,2]")
    result = command(*FEW, *overrides)
    assert result.record.status == "early_stopped"


@pytest.mark.slow
def test_rosenbrock_reaches_the_floor_soon_and_its_end_late(command):
    trajectory = _trajectory(command("experiment=rosenbrock"))
    assert trajectory["f"][0] == pytest.approx(24.2)
    assert all(4 < f < 5 for step, f in zip(trajectory["step"], trajectory["f"], strict=True) if 30 <= step <= 100)
    assert next(step for step, f in zip(trajectory["step"], trajectory["f"], strict=True) if f < 1e-6) > 3000
    assert (trajectory["x"][-1], trajectory["y"][-1]) == pytest.approx((1, 1), abs=1e-3)


@pytest.mark.slow
def test_beale_momentum_is_there_before_gradient_descent_and_a_corner_throws_it_out(command):
    distances = {}
    for optimizer in ("momentum", "sgd"):
        trajectory = _trajectory(command("experiment=beale", f"optimizer={optimizer}", "optimizer.lr=0.01"))
        points = zip(trajectory["step"], trajectory["x"], trajectory["y"], strict=True)
        distances[optimizer] = {step: math.dist((x, y), (3, 0.5)) for step, x, y in points}
    assert all(distance < 0.001 for step, distance in distances["momentum"].items() if step >= 300)
    assert distances["sgd"][1000] > 0.001
    assert command("experiment=beale", "model.start=[4,4]").record.status == "diverged"


def test_the_saddle_holds_descent_back_for_as_long_as_the_formula_says(command):
    trajectory = _trajectory(command("experiment=saddle", "logger=off"))
    f = dict(zip(trajectory["step"], trajectory["f"], strict=True))
    assert all(f[step] == pytest.approx(0.25, rel=0.01) for step in range(20, 41))
    # near the saddle y grows by 1 + lr in a step: from 0.001 to 0.5 in log(500) / log(1.1) = 65
    leaves = next(step for step, y in zip(trajectory["step"], trajectory["y"], strict=True) if y > 0.5)
    assert 65 <= leaves <= 75
    assert (trajectory["x"][-1], trajectory["y"][-1]) == pytest.approx((0, 1), abs=1e-6)
    stays = _trajectory(command("experiment=saddle", "logger=off", "model.start=[1.5,0]"))
    assert stays["f"][-1] == 0.25


def test_the_valley_is_as_slow_as_the_formula_says_and_momentum_a_million_times_lower(command):
    trajectory = _trajectory(command("experiment=valley", "logger=off"))
    f = trajectory["f"]
    assert all(after / before == pytest.approx((99 / 101) ** 2, rel=1e-4) for before, after in pairwise(f))
    assert all(before * after < 0 for before, after in pairwise(trajectory["y"]))
    best = ("optimizer=momentum", "optimizer.lr=0.0330579", "optimizer.momentum=0.669421")
    assert _trajectory(command("experiment=valley", "logger=off", *best))["f"][-1] < 1e-6 * f[-1]


@pytest.mark.slow
def test_optimizers_race_to_the_minima_that_the_head_says(command):
    assert command("experiment=himmelblau_optimizers", "animate=true").code == 0
    (sweep,) = Path("outputs/himmelblau_optimizers/multirun").iterdir()
    ends = {}
    for job in records.read_sweep(sweep).jobs:
        trajectory = records.read_curves(sweep / job).trajectory
        ends[job.partition("=")[2]] = (round(trajectory["x"][-1], 2), round(trajectory["y"][-1], 2))
        assert (sweep / job / "path.gif").is_file()
    assert ends.pop("momentum") == (3.58, -1.85)
    assert ends == dict.fromkeys(("sgd", "adagrad", "rmsprop", "adam"), (3.0, 2.0))
    page = (sweep / "report.html").read_text()
    assert "<h2>Paths</h2><svg" in page
    assert (sweep / "paths.png").is_file()
    with Image.open(sweep / "race.gif") as race:
        assert race.n_frames > 30
    assert (sweep / "race.gif").stat().st_size < 2_000_000


@pytest.mark.slow
def test_eight_starting_points_end_two_by_two_in_the_four_minima(command):
    assert command("experiment=starting_points").code == 0
    (sweep,) = Path("outputs/starting_points/multirun").iterdir()
    ends = []
    for job in records.read_sweep(sweep).jobs:
        trajectory = records.read_curves(sweep / job).trajectory
        ends.append((round(trajectory["x"][-1], 2), round(trajectory["y"][-1], 2)))
    assert ends[:4] == [(3.0, 2.0), (-2.81, 3.13), (-3.78, -3.28), (3.58, -1.85)]
    assert ends[4:] == ends[:4]
    assert (sweep / "paths.png").is_file()
    assert not (sweep / "race.gif").exists()


def _trajectory(result):
    return records.read_curves(result.folder).trajectory
