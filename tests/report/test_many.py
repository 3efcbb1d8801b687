"""A report of thousands of runs: in bounded time and memory, with charts that say how many of them they show."""

import re
import subprocess
import sys

import pytest
from tests.folders import make_many

from lit_dl.report.by_factor import MOST_TICKS, by_factor
from lit_dl.report.charts import MOST_COLOURS, MOST_FLOWS, gradient_flows, learning_curves
from lit_dl.report.runs import find
from lit_dl.report.settings import compare

RUNS = MOST_TICKS + 10


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_many(folder, RUNS)
    return compare(find([folder]), "val/acc", 0.9)


def test_of_many_curves_those_that_rank_first_are_drawn_and_it_is_said(comparison, monkeypatch):
    monkeypatch.setattr("lit_dl.report.charts.MOST_CURVES", 20)
    figure = learning_curves(comparison)
    assert figure.get_suptitle() == f"20 of {RUNS} jobs: those that rank first"
    lines = [line for line in figure.axes[0].lines if line.get_marker() == "None"]
    assert len(lines) == 20
    assert len(figure.legends[0].get_texts()) == MOST_COLOURS


def test_of_many_gradient_flows_some_are_drawn_and_it_is_said(comparison):
    figure = gradient_flows(comparison)
    assert len([axes for axes in figure.axes if axes.get_title()]) == MOST_FLOWS
    assert figure.get_suptitle().startswith(f"{MOST_FLOWS} of {RUNS} jobs: ")


def test_of_many_values_some_are_named_and_all_are_drawn(comparison):
    rates, optimizers, *_ = by_factor(comparison).axes
    assert rates.get_xlabel() == f"optimizer.lr ({RUNS} values)"
    assert len(optimizers.get_xticks()) <= MOST_TICKS
    dots = [line for line in rates.lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in dots) == 2 * sum(job.is_good for job in comparison.jobs)
    assert len(rates.texts) == 1  # one note on all that failed


@pytest.mark.slow
def test_two_thousand_runs_are_compared_within_a_minute_and_the_page_opens(tmp_path):
    pytest.importorskip("resource")  # POSIX has it
    make_many(tmp_path, 2000)
    program = (
        "import resource, sys, time; from lit_dl.report.__main__ import main; assert main(sys.argv[1:]) == 0; "
        "print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, memory = map(float, done.stdout.splitlines()[-1].split())
    assert seconds < 60  # of computing, whatever else the machine does
    assert memory < 2**20 * (1024 if sys.platform == "darwin" else 1)  # 1 GB
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(page) < 10 * 2**20
    assert page.count("<svg") == 3
    assert len(re.findall("<tr", page)) == 2 * 2000 + 2
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 2001
