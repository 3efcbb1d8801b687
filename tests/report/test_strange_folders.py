"""A report of folders in which anything may lie: what cannot be read is one line, and the rest goes on."""

import csv
import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from tests.folders import HEALTHY, make_run, make_sweep
from tests.records.test_reading import TRAJECTORY
from tests.strange import CONTENTS, REPLACEMENTS, partly_replaced

from lit_dl import records
from lit_dl.report.__main__ import main
from lit_dl.report.runs import find

FILES = ("metrics.json", "curves.json", ".hydra/config.yaml")
GOOD = ("good", "optimizer.lr=0.123")
METRICS = {"val/acc": 0.5, "val/loss": 1.0, "train_eval/acc": 0.75}
CURVES = records.CurvesRecord(
    {"step": [1, 2], "epoch": [1.0, 2.0], "seconds": [0.5, 1.5], "val/acc": [0.1, 0.5], "train/loss": [2.0, 1.0]},
    ["01_linear", "02_linear"], [[-3.0, -2.0], [-1.0, None]], 2, TRAJECTORY,
)  # fmt: skip


def a_run(folder: Path, *overrides: str) -> Path:
    lr = float(overrides[0].partition("=")[2]) if overrides else 0.5
    return make_run(
        folder, *overrides, metrics=METRICS, curves=CURVES, diagnosis=[HEALTHY], config={"optimizer": {"lr": lr}},
        choices={"data": "digits", "model": "mlp"}, epochs=2, seconds=1.5,
    )  # fmt: skip


def csv_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_the_good_run_is_there(folder: Path, out: str) -> None:
    """In every form of the report."""
    assert out.count("0.123") >= 1
    rows = {row["job"]: row for row in csv_rows(folder)}
    assert rows["good"]["val/acc"] == "0.5"
    assert rows["good"]["optimizer.lr"] == "0.123"
    for name in ("report.md", "report.html"):
        assert "0.123" in (folder / name).read_text(encoding="utf-8")


def test_every_damaged_file_is_one_line_that_names_it_and_the_good_runs_are_compared(tmp_path, capsys):
    top = tmp_path / "outputs"
    a_run(top / GOOD[0], GOOD[1])
    (top / "good/events.out.tfevents.0").write_bytes(b"\xff" * 1000)  # a report reads none
    a_run(top / "other", "optimizer.lr=0.5")
    damaged = []
    contents = [CONTENTS[name] for name in ("empty", "nested lists", "UTF-16", "a number alone")]  # and all in records
    for file in FILES:
        for damage in (*contents, *REPLACEMENTS):
            path = a_run(top / f"run{len(damaged)}", "optimizer.lr=0.7") / file
            path.write_bytes(damage) if isinstance(damage, bytes) else damage(path)
            damaged.append(path)
    assert main([str(top)]) == 0
    out = capsys.readouterr().out
    check_the_good_run_is_there(top, out)
    assert {row["job"] for row in csv_rows(top)} == {"good", "other"}
    for text in (out, (top / "report.md").read_text(), (top / "report.html").read_text()):
        lines = text.replace("<li>", "\n").splitlines()
        for path in damaged:
            assert sum(f"{path} is damaged" in line.replace("\\_", "_") for line in lines) == 1


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("examples", [6, pytest.param(15, marks=pytest.mark.slow)])
def test_with_anything_in_any_place_of_a_record_the_report_has_the_good_run(
    tmp_path, capsys, monkeypatch, file, examples
):
    a_run(tmp_path / GOOD[0], GOOD[1])
    a_run(tmp_path / "other", "optimizer.lr=0.7")
    path = a_run(tmp_path / "strange", "optimizer.lr=0.5") / file
    read, write = (yaml.safe_load, yaml.safe_dump) if file.endswith("yaml") else (json.loads, json.dumps)
    content = read(path.read_text())
    if examples < 15:
        monkeypatch.setattr("lit_dl.report.pages.charts", lambda comparison: {})  # they take most of the time
        monkeypatch.setattr("lit_dl.report.trajectories.write_trajectories", lambda *_: [])

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True)
    @given(partly_replaced(content))
    def check(strange):
        path.write_text(write(strange))
        assert main([str(tmp_path)]) == 0
        check_the_good_run_is_there(tmp_path, capsys.readouterr().out)

    check()


def test_a_damaged_sweep_inside_a_folder_is_said_and_its_jobs_are_found_without_it(tmp_path, capsys):
    for name in ("whole", "damaged", "folder"):
        make_sweep(tmp_path / name, {(0.1, 1): 0.5, (0.2, 1): 0.6})
    (tmp_path / "damaged/sweep.json").write_text('{"arguments": ["-m"], "jobs": [')
    (tmp_path / "folder/sweep.json").unlink()
    (tmp_path / "folder/sweep.json").mkdir()
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for name in ("damaged", "folder"):
        assert out.count(f"{tmp_path / name / 'sweep.json'} is damaged") == 1
    assert len(csv_rows(tmp_path)) == 6


@pytest.mark.parametrize("name", ["../outside", "/", "x" * 300, "a\0b"])
def test_a_sweep_names_no_job_outside_its_folder(tmp_path, name):
    a_run(tmp_path / "outside", "optimizer.lr=0.5")
    sweep = make_sweep(tmp_path / "sweep", {(0.1, 1): 0.5, (0.2, 1): 0.6})
    plan = records.read_sweep(sweep)
    plan.jobs[name] = ["seed=1"]
    records.write_sweep(plan, sweep)
    found = find([sweep])
    assert len(found.jobs) == 2
    assert ["has no folder name" in line for line in found.skipped] == [True]


def test_links_that_lead_round_in_circles_are_followed_once(tmp_path):
    a_run(tmp_path / "top/inner/run", "optimizer.lr=0.5")
    for name in ("one", "two", "three"):
        (tmp_path / "top/inner" / name).symlink_to(tmp_path / "top", target_is_directory=True)
    found = find([tmp_path / "top"])
    assert [job.name for job in found.jobs] == ["run"]
    assert found.skipped == []


@pytest.fixture
def far_below(tmp_path, monkeypatch):
    """Folders far below each other; they are taken away from below, as pytest would call itself too often for that."""
    depth = 1200  # more than Python calls functions in each other
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    os.chdir(tmp_path)
    yield tmp_path
    for _ in range(depth):
        os.chdir("d")
    for _ in range(depth):
        os.chdir("..")
        Path("d").rmdir()


def test_folders_far_below_each_other_end_in_a_line(far_below):
    a_run(far_below / "run", "optimizer.lr=0.5")
    found = find([Path()])
    assert [job.name for job in found.jobs] == ["run"]
    assert ["deeper than" in line for line in found.skipped] == [True]


def test_a_folder_that_may_not_be_listed_is_said(tmp_path, monkeypatch):
    a_run(tmp_path / "run", "optimizer.lr=0.5")
    (tmp_path / "closed").mkdir()
    list_folder = os.listdir

    def refuse(folder):
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return list_folder(folder)

    monkeypatch.setattr(os, "listdir", refuse)  # root may list everything, so no mode would keep it out
    found = find([tmp_path])
    assert [job.name for job in found.jobs] == ["run"]
    assert found.skipped == [f"{tmp_path / 'closed'}: Permission denied"]


def test_a_folder_inside_another_that_was_asked_for_is_not_called_empty(tmp_path):
    run = a_run(tmp_path / "outputs/run", "optimizer.lr=0.5")
    found = find([tmp_path / "outputs", run])
    assert len(found.jobs) == 1
    assert found.skipped == []
