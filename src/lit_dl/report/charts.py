"""The charts of a report, as SVG."""

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lit_dl.metrics import TITLES, usual_metric
from lit_dl.plots.heat_map import colour_scale, heat_map
from lit_dl.report.runs import ReportedRun, Value
from lit_dl.report.settings import Comparison, Setting, mean_of
from lit_dl.report.trajectories import trajectory_figures
from lit_dl.report.words import label_of, shortened, text_of

STYLE: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "lit_dl"}
MOST_COLOURS = 10  # settings that can be told apart; the others are grey
MOST_CURVE_POINTS = 150  # of a curve; a chart shows no more
MOST_FACTORS = 6
MOST_FLOWS = 12  # gradient flows side by side
PART_TITLES = {"train": "training", "val": "validation"}
GREY, RED = "#b8b8b8", "#c62828"


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
    """Training loss and accuracy (or what ranks) of each job by epoch, on common axes; a cross where a job diverged."""
    if not any(job.curves.points for job in comparison.jobs):
        return None
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    shown = list(dict.fromkeys(["train/loss", usual_metric("val/acc", comparison.metrics)]))
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, metric in zip(panels, shown, strict=True):
        for setting, colour in reversed(list(zip(comparison.settings, _colours(comparison.settings), strict=True))):
            for number, job in enumerate(setting.jobs):
                _curve(axes, job, metric, colour, label_of(setting.values) if number == 0 else None)
        _limits(axes, comparison.jobs, metric)
        for job in comparison.jobs:
            _cross(axes, job, metric)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        part, _, name = metric.partition("/")
        axes.set_title(f"{PART_TITLES[part]} {TITLES[name]}")
        axes.grid(alpha=0.25)
    if comparison.compared:
        handles, labels = panels[0].get_legend_handles_labels()
        first = slice(len(handles) - 1, None if len(handles) <= MOST_COLOURS else len(handles) - 1 - MOST_COLOURS, -1)
        figure.legend(handles[first], labels[first], loc="outside right upper", frameon=False, title="best first")
    return figure


def by_factor(comparison: Comparison) -> Figure | None:
    """The final metric against each factor: a point a job, mean and standard deviation of each value, over all else.

    The same metric of the training part stands beside it in grey, so that the gap between them shows.
    """
    names = comparison.compared[:MOST_FACTORS] or comparison.repeated
    if not names:
        return None
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(max(5.5, 3.7 * columns), 3.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, name in zip(panels, names, strict=False):
        _factor(axes, comparison, name)
    for axes in panels[len(names) :]:
        axes.axis("off")
    return figure


def gradient_flows(comparison: Comparison) -> Figure | None:
    """RMS gradient of each layer along the steps, of jobs side by side on one scale: all, or the first of settings."""
    few = len(comparison.jobs) <= MOST_FLOWS
    jobs = comparison.jobs if few else [setting.jobs[0] for setting in comparison.settings]
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
    return figure


def _curve(axes: Axes, job: ReportedRun, metric: str, colour: Any, label: str | None) -> None:
    known = _points(job, metric)
    x, y = zip(*_thinned(known), strict=True) if known else ((), ())
    marker = "." if len(x) == 1 else None
    axes.plot(x, y, color=colour, alpha=0.85, linewidth=1.3, marker=marker, label=label)


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
    return [(x, y) for x, y in pairs if x is not None and y is not None and math.isfinite(y)]


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    every = math.ceil(len(points) / MOST_CURVE_POINTS)
    return [*points[:-1:every], points[-1]]


def _limits(axes: Axes, jobs: Sequence[ReportedRun], metric: str) -> None:
    """Axes for the jobs that went well, so that a few losses of 1e30 do not press the others flat."""
    good = [job for job in jobs if job.is_good] or jobs
    values = [v for job in good for v in job.curves.points.get(metric, []) if v is not None and math.isfinite(v)]
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


def _factor(axes: Axes, comparison: Comparison, name: str) -> None:
    values = comparison.factors[name]
    kinds = _ordered(values)
    numbers = _numbers(kinds)
    wide = numbers is not None and _is_wide(numbers)
    to_scale = numbers is not None and (not wide or min(numbers) > 0)
    places = numbers if numbers is not None and to_scale else [float(place) for place in range(len(kinds))]
    metric = comparison.metric
    twin = metric.replace("val/", "train_eval/")  # evaluated like the validation part, so that the gap is honest
    for shown, colour in ((twin, GREY), (metric, "tab:blue")):
        if colour == GREY and (twin == metric or twin not in comparison.metrics):
            continue
        means = []
        for kind, place in zip(kinds, places, strict=True):
            jobs = [job for job, value in zip(comparison.jobs, values, strict=True) if value == kind]
            finals = [job.metric(shown) for job in jobs if job.is_good]
            if mean := mean_of(finals):
                means.append((place, mean.mean))
                dots = [value for value in finals if value is not None]
                axes.plot([place] * len(dots), dots, ".", color=colour, alpha=0.5, markersize=5)
                axes.errorbar(place, mean.mean, mean.std or 0.0, fmt="o", color=colour, capsize=4, markersize=5)
            bad = sum(not job.is_good for job in jobs)
            if bad and shown == metric:
                text = f"{bad} of {len(jobs)} not finished well" if bad < len(jobs) else "none finished well"
                note = axes.annotate(
                    f"✕ {text}", (place, 0.02), xycoords=("data", "axes fraction"), rotation=90, fontsize=7,
                    xytext=(6, 0), textcoords="offset points", color=RED, va="bottom",
                )  # fmt: skip
                note.set_in_layout(False)
        if means and to_scale:
            axes.plot(*zip(*means, strict=True), color=colour, linewidth=1, zorder=0)
        axes.plot([], [], "o", color=colour, label=shown)
    if to_scale and wide:
        axes.set_xscale("log")
    axes.set_xticks(places, [shortened(text_of(kind), 20) for kind in kinds], rotation=30 if len(kinds) > 4 else 0)
    axes.minorticks_off()
    axes.set_xlabel(name)
    axes.grid(alpha=0.25, axis="y")
    axes.legend(frameon=False, fontsize=8, loc="best")


def _ordered(values: Sequence[Value]) -> list[Value]:
    """Each value once, numbers by size, others as they came."""
    kinds = list(dict.fromkeys(values))
    numbers = _numbers(kinds)
    return kinds if numbers is None else [kinds[place] for place in np.argsort(numbers)]


def _numbers(kinds: Sequence[Value]) -> list[float] | None:
    """The values as numbers; None if some are none."""
    numbers = [float(kind) for kind in kinds if isinstance(kind, int | float) and not isinstance(kind, bool)]
    return numbers if len(numbers) == len(kinds) else None


def _is_wide(numbers: Sequence[float]) -> bool:
    """Whether numbers are better seen by their orders of magnitude."""
    sizes = [abs(number) for number in numbers if number != 0]
    return bool(sizes) and max(sizes) >= 20 * min(sizes)


def _colours(settings: Sequence[Setting]) -> list[Any]:
    return [colormaps["tab10"](number) if number < MOST_COLOURS else GREY for number in range(len(settings))]


def _wrapped(name: str) -> str:
    return "\n".join(name[start : start + 34] for start in range(0, min(len(name), 68), 34))


def _svg(figure: Figure) -> str:
    """Without the XML head, to stand in HTML."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
