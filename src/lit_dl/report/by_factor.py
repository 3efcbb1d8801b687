"""The chart of the final metric against each factor."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lit_dl.plots.labels import as_label
from lit_dl.report.runs import ReportedRun, Value
from lit_dl.report.settings import Comparison, mean_of
from lit_dl.report.words import text_of

MOST_FACTORS = 6
MOST_TICKS = 30  # values of a factor that are named, each with a note on jobs that failed
MOST_SEARCHED = 300  # jobs among which matplotlib is to find a place for the legend
MOST_DRAWN = 1e60  # matplotlib overflows far beyond; a loss in single precision ends at 3e38
GREY, RED = "#b8b8b8", "#c62828"


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


def _factor(axes: Axes, comparison: Comparison, name: str) -> None:
    groups: dict[Value, list[ReportedRun]] = {}
    for job, value in zip(comparison.jobs, comparison.factors[name], strict=True):
        groups.setdefault(value, []).append(job)
    kinds = _ordered(groups)
    numbers = _numbers(kinds)
    wide = numbers is not None and _is_wide(numbers)
    to_scale = numbers is not None and (not wide or min(numbers) > 0)
    places = numbers if numbers is not None and to_scale else [float(place) for place in range(len(kinds))]
    metric = comparison.metric
    twin = metric.replace("val/", "train_eval/")  # evaluated like the validation part, so that the gap is honest
    for shown, colour in ((twin, GREY), (metric, "tab:blue")):
        if colour == GREY and (twin == metric or twin not in comparison.metrics):
            continue
        finals = [_finals(groups[kind], shown) for kind in kinds]
        _draw_values(axes, places, finals, colour, joined=to_scale)
        axes.plot([], [], "o", color=colour, label=as_label(shown))
    if to_scale and wide:
        axes.set_xscale("log")
    _name_values(axes, kinds, places, to_scale)
    _note_failures(axes, [groups[kind] for kind in kinds], places)
    axes.set_xlabel(as_label(name) + (f" ({len(kinds):,} values)" if len(kinds) > MOST_TICKS else ""))
    axes.grid(alpha=0.25, axis="y")
    axes.legend(frameon=False, fontsize=8, loc="best" if len(comparison.jobs) <= MOST_SEARCHED else "upper right")


def _finals(jobs: Iterable[ReportedRun], metric: str) -> list[float]:
    values = [job.metric(metric) for job in jobs if job.is_good]
    return [value for value in values if value is not None and abs(value) < MOST_DRAWN]


def _draw_values(
    axes: Axes, places: Sequence[float], finals: Sequence[Sequence[float]], colour: str, joined: bool
) -> None:
    """A dot a job, and of each place the mean with its standard deviation, joined by a line."""
    dots = [(place, value) for place, values in zip(places, finals, strict=True) for value in values]
    means = [(place, mean) for place, values in zip(places, finals, strict=True) if (mean := mean_of(values))]
    if not means:
        return
    axes.plot(*zip(*dots, strict=True), ".", color=colour, alpha=0.5, markersize=5)
    x, y = [place for place, _ in means], [mean.mean for _, mean in means]
    axes.errorbar(x, y, [mean.std or 0.0 for _, mean in means], fmt="o", color=colour, capsize=4, markersize=5)
    if joined:
        axes.plot(x, y, color=colour, linewidth=1, zorder=0)


def _name_values(axes: Axes, kinds: Sequence[Value], places: Sequence[float], to_scale: bool) -> None:
    """The values below the axis; of many numbers those that matplotlib chooses, of many others some."""
    if len(kinds) > MOST_TICKS and to_scale:
        return
    every = math.ceil(len(kinds) / MOST_TICKS)
    names = [as_label(text_of(kind), 20) for kind in kinds[::every]]
    axes.set_xticks(places[::every], names, rotation=30 if len(kinds) > 4 else 0)
    axes.minorticks_off()


def _note_failures(axes: Axes, groups: Sequence[Sequence[ReportedRun]], places: Sequence[float]) -> None:
    if len(groups) > MOST_TICKS:
        groups, places = [[job for jobs in groups for job in jobs]], places[:1]
    for jobs, place in zip(groups, places, strict=True):
        bad = sum(not job.is_good for job in jobs)
        if not bad:
            continue
        text = f"{bad} of {len(jobs)} not finished well" if bad < len(jobs) else "none finished well"
        note = axes.annotate(
            f"✕ {text}", (place, 0.02), xycoords=("data", "axes fraction"), rotation=90, fontsize=7,
            xytext=(6, 0), textcoords="offset points", color=RED, va="bottom",
        )  # fmt: skip
        note.set_in_layout(False)


def _ordered(values: Iterable[Value]) -> list[Value]:
    """Numbers by size, others as they came."""
    kinds = list(values)
    numbers = _numbers(kinds)
    return kinds if numbers is None else [kinds[place] for place in np.argsort(numbers)]


def _numbers(kinds: Sequence[Value]) -> list[float] | None:
    """The values as numbers; None if some are none that can be drawn to scale."""
    numbers = [float(kind) for kind in kinds if isinstance(kind, int | float) and not isinstance(kind, bool)]
    return numbers if len(numbers) == len(kinds) and all(abs(number) < MOST_DRAWN for number in numbers) else None


def _is_wide(numbers: Sequence[float]) -> bool:
    """Whether numbers are better seen by their orders of magnitude."""
    sizes = [abs(number) for number in numbers if number != 0]
    return bool(sizes) and max(sizes) >= 20 * min(sizes)
