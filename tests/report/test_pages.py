"""The report as a command, and its files."""

import csv
import re
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest
from rich.console import Console
from tests.folders import make_run, make_sweep

from lit_dl import records
from lit_dl.report.__main__ import main

ACCURACIES = {(0.1, 1): 0.6, (0.1, 2): 0.8, (0.5, 1): 0.9, (0.5, 2): None}


class Page(HTMLParser):
    """What an HTML page would load from elsewhere, and its text."""

    def __init__(self):
        super().__init__()
        self.loads, self.text = [], ""

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "xlink:href") and not str(value).startswith(("#", "data:")):
                self.loads.append((tag, value))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def sweep(tmp_path):
    return make_sweep(tmp_path / "optimizers/multirun/now", ACCURACIES)


def test_the_csv_has_every_job_with_all_that_varied_and_all_metrics(sweep):
    assert main([str(sweep)]) == 0
    with (sweep / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["optimizer.lr"]), int(row["seed"])) for row in rows] == list(ACCURACIES)
    assert [row["val/acc"] for row in rows] == ["0.6", "0.8", "0.9", ""]
    assert [row["status"] for row in rows] == ["completed"] * 3 + ["failed"]
    assert rows[3]["stop_reason"] == "why"
    assert {"val/loss", "epochs", "steps", "seconds", "seconds_to_0.5", "diagnosis"} <= set(rows[0])


def test_the_page_needs_no_other_file_and_has_charts_tables_and_the_command(sweep):
    assert main([str(sweep)]) == 0
    content = (sweep / "report.html").read_text()
    page = Page()
    page.feed(content)
    assert page.loads == []
    assert "@import" not in content
    assert not re.search(r"url\((?!#)", content)
    assert content.count("<svg") == 3
    for words in (
        "optimizers now", "Learning curves", "Final metric by factor", "Gradient flow", "0.7000 ± 0.1414",
        "python -m lit_dl.train optimizer.lr=0.1 seed=2", "Failed or diverged", "3_lr=0.5_seed=2: failed, why",
    ):  # fmt: skip
        assert words in page.text


def test_what_users_name_is_text_in_the_page(tmp_path):
    make_run(tmp_path / "runs/a", "model=<script>alert(1)</script>", metrics={"val/acc": 0.5})
    make_run(tmp_path / "runs/b", "model=x|y", metrics={"val/acc": 0.6})
    assert main([str(tmp_path / "runs")]) == 0
    assert "<script>" not in (tmp_path / "runs/report.html").read_text()
    assert r"x\|y" in (tmp_path / "runs/report.md").read_text()


def test_the_markdown_has_the_table_best_first(sweep):
    assert main([str(sweep)]) == 0
    lines = [line for line in (sweep / "report.md").read_text().splitlines() if line.startswith("| 0.")]
    assert [line.split(" | ")[:2] for line in lines] == [["| 0.1", "0.7000 ± 0.1414"], ["| 0.5", "0.9000"]]


def test_several_folders_are_compared_in_a_place_of_their_own(sweep, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path / "run", "optimizer.lr=0.7", metrics={"val/acc": 0.99}, config={"optimizer": {"lr": 0.7}})
    assert main([str(sweep), str(run)]) == 0
    assert len(list((tmp_path / "outputs/report").glob("*/report.html"))) == 1
    assert main([str(sweep), str(run), "--to", "here", "--metric", "val/acc", "--accuracy", "0.7"]) == 0
    assert (tmp_path / "here/report.csv").exists()
    assert "to 0.7" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_folder_without_runs_is_said(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert "no runs in" in err
    assert name in err
    assert not list(tmp_path.rglob("report.*"))


def test_a_place_that_cannot_be_written_is_said(sweep, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([str(sweep), "--to", str(tmp_path / "file")]) == 1
    assert "--to FOLDER" in capsys.readouterr().err


def test_on_a_narrow_terminal_no_number_is_broken(tmp_path, monkeypatch, capsys):
    sweep = make_sweep(tmp_path / "sweep", ACCURACIES)
    monkeypatch.setattr("lit_dl.report.console", Console(force_terminal=True, width=48, highlight=False))
    assert main([str(sweep)]) == 0
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    tables = lines[: next(number for number, line in enumerate(lines) if line.startswith("mean ±"))]
    assert max(map(len, tables)) <= 48
    for words in ("0.7000 ± 0.1414", "1 of 2", "failed (1 of 2)"):
        assert any(words in line for line in tables)


def test_runs_without_curves_gradients_or_metrics_have_a_report_too(tmp_path):
    make_run(tmp_path / "a", "seed=1", status="failed")
    make_run(tmp_path / "b", "seed=2", metrics={"train/loss": None}, status="diverged")
    assert main([str(tmp_path)]) == 0
    assert "diverged, why" in (tmp_path / "report.html").read_text()


@pytest.mark.run
def test_a_report_imports_neither_torch_nor_lightning(sweep):
    program = (
        "import sys; from lit_dl.report.__main__ import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'lightning'} & set(sys.modules); sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", program, str(sweep)], check=True, capture_output=True)


@pytest.mark.slow
def test_a_hundred_runs_are_compared_in_five_seconds(tmp_path):
    config = {f"key{number}": {"a": [1, 2, 3], "b": "text", "c": 0.5} for number in range(40)}  # as long as a real one
    points = {name: [value / 100 for value in range(100)] for name in ("step", "epoch", "seconds", "val/acc",
              "train/loss", "val/loss", "train/acc")}  # fmt: skip
    for number in range(100):
        curves = records.CurvesRecord(points, ["01", "02", "03"], [[-2.0] * 100] * 3, 100)
        overrides = (f"lr={number % 10}", f"seed={number}")
        make_run(
            tmp_path / f"{number}", *overrides, curves=curves, metrics={"val/acc": number / 100},
            config={**config, "lr": number % 10, "seed": number},
        )  # fmt: skip
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "lit_dl.report", str(tmp_path)], check=True, capture_output=True)
    assert time.perf_counter() - started < 5  # seconds, the time that is promised
