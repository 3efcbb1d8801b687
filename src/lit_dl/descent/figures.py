"""Trajectories on a surface as a picture and as a moving one. Imports no torch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from lit_dl.descent.surfaces import SURFACES, Surface
from lit_dl.descent.trajectories import Trajectory
from lit_dl.plots.canvas import Canvas
from lit_dl.plots.gif import write_gif
from lit_dl.plots.labels import as_label

GRID = 300  # points of the contour on each side
LEVELS = 24
MOST_WIDENED = 100  # times its own width that a picture grows on each side
LEAST_DRAWN = 1e-3  # of the median of f, below which levels would crowd around the minima
FRAMES = 80
FONT: dict[Any, Any] = {"font.size": 11}
PATH_COLOURS = [to_rgb(colormaps["tab10"](number)) for number in range(10)]


def trajectory_figure(trajectories: Mapping[str, Trajectory], title: str | None = None) -> Figure:
    """The contour of a surface with some trajectories on it, each from a dot to a star; black crosses are the minima.

    Args:
        trajectories: by name, one or more on the same surface.
        title: None for that of the surface.
    """
    with matplotlib.rc_context(FONT):
        figure, axes = _ground(list(trajectories.values()), _names(trajectories), title)
        for trajectory, marks in zip(trajectories.values(), _marks(axes, len(trajectories)), strict=True):
            _place(*marks, trajectory, len(trajectory.step))
    return figure


def write_race(trajectories: Mapping[str, Trajectory], path: Path) -> None:
    """Write a GIF in which all trajectories are made at the same time, step by step, for ever.

    Frames are not so many steps apart, but so much of the paths: most of many a path is made in few of its steps.

    Raises:
        OSError: if it cannot be written.
    """
    with matplotlib.rc_context(FONT):
        figure, axes = _ground(list(trajectories.values()), _names(trajectories), None)
        canvas = Canvas(figure)
        canvas.draw()
        ground = canvas.keep()
        marks = _marks(axes, len(trajectories))
        counter = axes.text(0.02, 0.97, "", transform=axes.transAxes, va="top", bbox={"facecolor": "white", "pad": 3})
        frames = []
        for step in _frame_steps(list(trajectories.values())):
            canvas.put_back(ground)
            for trajectory, artists in zip(trajectories.values(), marks, strict=True):
                _place(*artists, trajectory, int(np.searchsorted(trajectory.step, step, side="right")))
                for artist in artists:
                    axes.draw_artist(artist)
            counter.set_text(f"step {step:,.0f}")
            axes.draw_artist(counter)
            frames.append(canvas.pixels()[..., :3].copy())
    write_gif(_in_one_palette(frames), path)


def _ground(trajectories: Sequence[Trajectory], names: Sequence[str], title: str | None) -> tuple[Figure, Axes]:
    """Contour, minima and legend: all but the trajectories."""
    surface = SURFACES[trajectories[0].surface]
    x_limits, y_limits = _limits(surface, trajectories)
    longest = max(map(len, names), default=-10)
    width = 6.8 + 0.09 * (longest + 10)  # inches: a letter is about 0.09 wide
    figure = Figure(figsize=(width, 5.8), dpi=100)  # no layout, which would leave the square no room for its labels
    axes = figure.add_axes((0.85 / width, 0.1, 4.85 / width, 4.85 / 5.8))
    scale = figure.add_axes((5.9 / width, 0.1, 0.15 / width, 4.85 / 5.8))
    x, y = np.linspace(*x_limits, GRID), np.linspace(*y_limits, GRID)
    f = surface.f(*np.meshgrid(x, y))
    low = LEAST_DRAWN * float(np.median(f))
    levels = np.linspace(np.log10(low), np.log10(f.max() + low), LEVELS)  # of f + low, as f is 0 at the minima
    drawn = axes.contourf(x, y, np.log10(f + low), levels=levels, cmap="Greys", alpha=0.55)
    drawn.set_rasterized(True)  # thousands of corners otherwise, in a page of a report
    axes.contour(x, y, np.log10(f + low), levels=levels, colors="#777777", linewidths=0.35)
    powers = range(math.ceil(levels[0]), math.floor(levels[-1]) + 1)
    bar = figure.colorbar(drawn, cax=scale)
    scale.set_title("f", fontsize=11)
    bar.set_ticks([math.log10(10.0**power + low) for power in powers], labels=[f"{10.0**power:g}" for power in powers])
    for at in surface.minima:
        axes.plot(*at, marker="x", markersize=8, markeredgewidth=1.8, color="black", zorder=2)
    axes.set_xlim(x_limits)
    axes.set_ylim(y_limits)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.set_title(title or f"{trajectories[0].surface.capitalize()}: {surface.formula}", fontsize=11)
    if names:
        lines = [Line2D([], [], color=colour, linewidth=2) for colour in _colours(len(names))]
        place = (6.7 / width, 0.1 + 4.85 / 5.8)
        figure.legend(lines, names, loc="upper left", bbox_to_anchor=place, frameon=False, borderaxespad=0)
    return figure, axes


def _limits(surface: Surface, trajectories: Sequence[Trajectory]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Those of the surface, widened so that every start is inside that is not far out, where f would be too large."""
    starts = np.array([(trajectory.x[0], trajectory.y[0]) for trajectory in trajectories])
    limits = []
    for (low, high), values in zip((surface.x_limits, surface.y_limits), starts.T, strict=True):
        room = 0.05 * (high - low)
        values = np.clip(values, low - MOST_WIDENED * (high - low), high + MOST_WIDENED * (high - low))
        limits.append((min(low, values.min() - room), max(high, values.max() + room)))
    return limits[0], limits[1]


def _names(trajectories: Mapping[str, Trajectory]) -> list[str]:
    return list(map(as_label, trajectories)) if len(trajectories) > 1 else []


def _colours(count: int) -> list[Any]:
    return ["tab:red"] if count == 1 else [PATH_COLOURS[number % len(PATH_COLOURS)] for number in range(count)]


def _marks(axes: Axes, count: int) -> list[tuple[Line2D, Line2D, Line2D]]:
    """Of each trajectory line, start and end, to be placed; the first ones larger, to show below the others."""
    edge: dict[str, Any] = {"markeredgecolor": "black", "markeredgewidth": 0.7}
    marks = []
    for number, colour in enumerate(_colours(count)):
        below = 1 - number / max(count - 1, 1) if count > 1 else 0.0
        (line,) = axes.plot([], [], color=colour, linewidth=1.6 + 2.2 * below, zorder=3)
        (start,) = axes.plot([], [], marker="o", markersize=7, color=colour, zorder=4, **edge)
        (end,) = axes.plot([], [], marker="*", markersize=13 + 8 * below, color=colour, zorder=5, **edge)
        marks.append((line, start, end))
    return marks


def _place(line: Line2D, start: Line2D, end: Line2D, trajectory: Trajectory, count: int) -> None:
    """Show the first so many points of a trajectory, those that are finite."""
    far = 1e6  # of a trajectory that diverges: matplotlib overflows where lines end far out of the axes
    good = np.isfinite(trajectory.x[:count]) & np.isfinite(trajectory.y[:count])
    x, y = np.clip(trajectory.x[:count][good], -far, far), np.clip(trajectory.y[:count][good], -far, far)
    line.set_data(x, y)
    start.set_data(x[:1], y[:1])
    end.set_data(x[-1:], y[-1:])


def _frame_steps(trajectories: Sequence[Trajectory]) -> np.ndarray:
    """The steps of the frames, at equal parts of the mean of how far the trajectories are."""
    steps = np.unique(np.concatenate([trajectory.step for trajectory in trajectories]))
    far = np.mean([np.interp(steps, trajectory.step, trajectory.travelled()) for trajectory in trajectories], axis=0)
    rows = np.searchsorted(far, np.linspace(0, far[-1], FRAMES))
    return steps[np.unique(np.minimum(rows, len(steps) - 1))]


def _in_one_palette(frames: Sequence[np.ndarray]) -> list[Image.Image]:
    """The same colours in all frames: small, and nothing flickers."""
    swatches = np.array([*PATH_COLOURS, to_rgb("tab:red")])  # thin lines alone would not get theirs
    rows = np.repeat((255 * swatches).astype(np.uint8), 9, axis=0)[:, None].repeat(frames[-1].shape[1], axis=1)
    palette = Image.fromarray(np.concatenate([frames[-1], rows])).quantize(256)
    return [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
