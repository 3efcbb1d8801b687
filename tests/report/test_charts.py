"""The charts of a report show the numbers of its table."""

import numpy as np
import pytest
from matplotlib.colors import same_color
from tests.folders import make_run, make_sweep

from lit_dl import records
from lit_dl.report.charts import GREY, by_factor, charts, gradient_flows, learning_curves
from lit_dl.report.runs import find
from lit_dl.report.settings import Comparison, compare, rows_of

RATES = {
    0.1: [(0.9, 0.7), (0.8, 0.7)],
    0.5: [(1.0, 0.6), (1.0, 0.8)],
}  # of each lr (train_eval, val) accuracies by seed


def comparison_of(folder, metric="val/acc") -> Comparison:
    return compare(find([folder]), metric, 0.9)


@pytest.fixture
def rates(tmp_path):
    for lr, pairs in RATES.items():
        for seed, (train, val) in enumerate(pairs):
            make_run(
                tmp_path / f"{lr}_{seed}", f"optimizer.lr={lr}", f"seed={seed}",
                metrics={"train_eval/acc": train, "val/acc": val, "train/acc": 0.123, "val/loss": 1.0},
                config={"seed": seed, "optimizer": {"lr": lr}},
            )  # fmt: skip
    return tmp_path


def means(axes, colour) -> dict[float, float]:
    """The large dots of a colour, place to height."""
    dots = [line for line in axes.lines if line.get_marker() == "o" and same_color(line.get_color(), colour)]
    return {x: y for line in dots for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


def test_chart_and_table_tell_the_same_gap_between_training_and_validation(rates):
    comparison = comparison_of(rates)
    axes = by_factor(comparison).axes[0]
    grey, blue = means(axes, GREY), means(axes, "tab:blue")
    assert grey == pytest.approx({0.1: 0.85, 0.5: 1.0})
    assert blue == pytest.approx({0.1: 0.7, 0.5: 0.7})
    head, rows = rows_of(comparison)
    told = {float(row[0]): float(row[head.index("gap")].partition(" ")[0]) for row in rows}
    assert {lr: grey[lr] - blue[lr] for lr in grey} == pytest.approx(told)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train_eval/acc", "val/acc"]


def test_a_metric_without_a_counterpart_on_the_training_part_stands_alone(tmp_path):
    axes = by_factor(comparison_of(make_sweep(tmp_path / "sweep", {(0.1, 1): 0.6, (0.5, 1): 0.9}))).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["val/acc"]


def test_where_no_job_ended_well_the_chart_says_so(tmp_path):
    axes = by_factor(comparison_of(make_sweep(tmp_path / "sweep", {(0.1, 1): None, (0.5, 1): None}))).axes[0]
    assert [text.get_text() for text in axes.texts] == ["✕ none finished well"] * 2


def test_learning_curves_end_at_the_last_value_and_a_diverged_job_at_a_cross(tmp_path):
    for name, status, last in (("good", "completed", 0.5), ("bad", "diverged", 1e30)):
        curves = records.CurvesRecord({"step": [1, 2], "epoch": [1.0, 2.0], "train/loss": [2.0, last]})
        make_run(tmp_path / name, f"l1={len(name)}", status=status, curves=curves, config={"l1": len(name)})
    axes = learning_curves(comparison_of(tmp_path)).axes[0]
    assert sorted(line.get_ydata()[-1] for line in axes.lines if line.get_marker() == "None") == [0.5, 1e30]
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert cross.get_ydata()[0] == pytest.approx(axes.get_ylim()[1])  # at the edge: the axes are for the good one
    assert axes.get_ylim()[1] < 10


def test_a_gradient_flow_is_drawn_of_each_job_that_has_one(tmp_path):
    make_sweep(tmp_path / "sweep", {(0.1, 1): 0.6, (0.5, 1): None})
    make_run(tmp_path / "without", "l1=1")
    figure = gradient_flows(comparison_of(tmp_path))
    maps = [axes.get_images()[0] if axes.get_images() else axes.collections[0] for axes in figure.axes[:2]]
    for drawn in maps:
        values = np.ma.filled(np.ma.asarray(drawn.get_array(), dtype=float), np.nan).reshape(2, 2)
        assert np.array_equal(np.sort(values, axis=None)[:3], [-3.0, -2.0, -1.0])
    assert len([axes for axes in figure.axes if axes.get_title()]) == 2


def test_names_in_charts_stand_as_they_read(tmp_path):
    for name in ("$x_{y}^$", "_hidden"):
        curves = records.CurvesRecord({"epoch": [1.0], "train/loss": [2.0]}, [name], [[-1.0]], 1)
        make_run(
            tmp_path / name, f"_l1={name}", curves=curves, config={"_l1": name}, metrics={f"val/{name}": 1.0}
        )  # fmt: skip
    comparison = comparison_of(tmp_path, "val/$x_{y}^$")
    drawn = [draw(comparison) for draw in (learning_curves, by_factor, gradient_flows)]
    for figure in drawn:
        figure.canvas.draw()  # raises for a formula that is none
    (curves, factor, flows) = drawn
    assert [text.get_text() for text in curves.legends[0].get_texts()] == [r" _l1=\$x_{y}^\$", " _l1=_hidden"]
    assert [text.get_text() for text in factor.axes[0].get_xticklabels()] == [r"\$x_{y}^\$", " _hidden"]
    assert {axes.get_title() for axes in flows.axes[:2]} == {r"\$x_{y}^\$", " _hidden"}


def test_charts_that_have_nothing_to_show_are_left_out(tmp_path):
    make_run(tmp_path / "a", "seed=1", status="failed")
    assert charts(comparison_of(tmp_path)) == {}
