"""The charts of a report, as SVG."""

import io
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lit_dl.metrics import TITLES, usual_metric
from lit_dl.plots.heat_map import colour_scale, heat_map
from lit_dl.plots.labels import as_label
from lit_dl.records import shortened, visible
from lit_dl.report.by_factor import GREY, MOST_DRAWN, RED, by_factor
from lit_dl.report.runs import ReportedRun
from lit_dl.report.settings import Comparison, Setting
from lit_dl.report.trajectories import trajectory_figures
from lit_dl.report.words import label_of

STYLE: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "lit_dl"}
MOST_COLOURS = 10  # settings that can be told apart; the others are grey
MOST_CURVE_POINTS = 150  # of a curve; a chart shows no more
MOST_CURVES = 200  # jobs whose curves are drawn; more hide each other
MOST_FLOWS = 12  # gradient flows side by side
PART_TITLES = {"train": "training", "val": "validation"}


def charts(comparison: Comparison) -> dict[str, str]:
    """The charts that there is something to draw for, by their titles, as SVG."""
    drawn: dict[str, Callable[[Comparison], Figure | None]] = {
        "Learning curves": learning_curves,
        "Final metric by factor": by_factor,
        "Gradient flow": gradient_flows,
    }
    with matplotlib.rc_context(STYLE):
        figures = {title: draw(comparison) for title, draw in drawn.items()} | trajectory_figures(comparison)
        return {title: _svg(figure) for title, figure in figures.items() if figure is not None}


def learning_curves(comparison: Comparison) -> Figure | None:
    """Training loss and accuracy (or what ranks) of jobs by epoch, on common axes; a cross where one diverged."""
    ranked = [(number, job) for number, setting in enumerate(comparison.settings) for job in setting.jobs]
    shown = [(number, job) for number, job in ranked if job.curves.points][:MOST_CURVES]
    if not shown:
        return None
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    metrics = list(dict.fromkeys(["train/loss", usual_metric("val/acc", comparison.metrics)]))
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        _draw_curves(axes, shown, metric)
    if comparison.compared:
        _name_settings(figure, comparison.settings)
    _say_how_many(figure, len(shown), sum(bool(job.curves.points) for job in comparison.jobs), "those that rank first")
    return figure


def gradient_flows(comparison: Comparison) -> Figure | None:
    """RMS gradient of each layer along the steps, of jobs side by side on one scale: all, or the first of settings."""
    few = len(comparison.jobs) <= MOST_FLOWS
    jobs = comparison.jobs if few else [setting.jobs[0] for setting in comparison.settings]
    there = sum(bool(job.curves.log10_rms) for job in comparison.jobs)
    jobs = [job for job in jobs if job.curves.log10_rms][:MOST_FLOWS]
    if not jobs:
        return None
    columns = min(len(jobs), 4)
    rows = math.ceil(len(jobs) / columns)
    figure = Figure(figsize=(max(5.0, 2.9 * columns), 2.3 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, job in zip(panels.flatten(), jobs, strict=False):
        rms = np.array(job.curves.log10_rms, dtype=float)  # None becomes NaN
        heat_map(axes, job.curves.layers, rms, job.curves.steps)
        axes.set_title(_wrapped(job.name), fontsize=7.5, color="black" if job.is_good else RED)
        axes.set_ylabel("")
        axes.tick_params(labelsize=7)
    for axes in panels.flatten()[len(jobs) :]:
        axes.axis("off")
    colour_scale(figure, panels[:, -1].tolist())
    _say_how_many(figure, len(jobs), there, "the first of each of the settings that rank first")
    return figure


def _draw_curves(axes: Axes, shown: Sequence[tuple[int, ReportedRun]], metric: str) -> None:
    """A line for each job, in the colour of its setting's place; the best on top."""
    for place, job in reversed(shown):
        known = _points(job, metric)
        x, y = zip(*_thinned(known), strict=True) if known else ((), ())
        marker = "." if len(x) == 1 else None
        axes.plot(x, y, color=_colour(place), alpha=0.85, linewidth=1.3, marker=marker)
    jobs = [job for _, job in shown]
    _limits(axes, jobs, metric)
    for job in jobs:
        _cross(axes, job, metric)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    part, _, name = metric.partition("/")
    axes.set_title(f"{PART_TITLES[part]} {TITLES[name]}")
    axes.grid(alpha=0.25)


def _name_settings(figure: Figure, settings: Sequence[Setting]) -> None:
    """The legend, of the settings that have a colour of their own."""
    named = [as_label(label_of(setting.values), 48) for setting in settings[:MOST_COLOURS]]
    lines = [Line2D([], [], color=_colour(place), linewidth=1.3) for place in range(len(named))]
    figure.legend(lines, named, loc="outside right upper", frameon=False, title="best first")


def _say_how_many(figure: Figure, shown: int, there: int, which: str) -> None:
    if shown < there:
        figure.suptitle(f"{shown:,} of {there:,} jobs: {which}", fontsize=9)


def _cross(axes: Axes, job: ReportedRun, metric: str) -> None:
    """Mark where a job diverged, at the edge of the axes if that is out of them."""
    known = _points(job, metric)
    if job.status == "diverged" and known:
        low, high = axes.get_ylim()
        x, y = known[-1]
        axes.plot(x, min(max(y, low), high), marker="x", markersize=8, color=RED, clip_on=False, zorder=5)


def _points(job: ReportedRun, metric: str) -> list[tuple[float, float]]:
    columns = job.curves.points
    pairs = zip(columns.get("epoch", []), columns.get(metric, []), strict=False)
    return [(x, y) for x, y in pairs if x is not None and y is not None and max(abs(x), abs(y)) < MOST_DRAWN]


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    every = math.ceil(len(points) / MOST_CURVE_POINTS)
    return [*points[:-1:every], points[-1]]


def _limits(axes: Axes, jobs: Sequence[ReportedRun], metric: str) -> None:
    """Axes for the jobs that went well, so that a few losses of 1e30 do not press the others flat."""
    good = [job for job in jobs if job.is_good] or jobs
    values = [value for job in good for _, value in _points(job, metric)]
    if not values:
        return
    low, high = min(values), max(values)
    if metric.endswith("loss"):
        high = min(high, 10 * float(np.percentile(values, 95)))
    if metric.endswith("loss") and low > 0 and high > 20 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
    elif high > low:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _colour(place: int) -> Any:
    return colormaps["tab10"](place) if place < MOST_COLOURS else GREY


def _wrapped(name: str) -> str:
    shown = shortened(visible(name), 68)
    return "\n".join(as_label(shown[start : start + 34]) for start in range(0, len(shown), 34))


def _svg(figure: Figure) -> str:
    """Without the XML head, to stand in HTML."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in other scripts; a box stands for it
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
