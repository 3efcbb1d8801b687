"""Pictures of what was measured."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.optimizer_steps import StepHistory
from lit_dl.plots.canvas import Canvas
from lit_dl.plots.heat_map import MOST_LABELS, colour_scale, heat_map, layer_labels, margin
from lit_dl.plots.labels import as_label

MOST_COUNTED = 30  # classes whose cells have room for a number; 900 numbers take 2 s to draw
MOST_NAMED = 60  # classes whose names can be read beside each other
MOST_SIDE = 17.0  # inches of a confusion matrix


def confusion_matrix(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """How often each true class was taken for each class.

    Cells show counts, of up to 30 classes; the colour is the share of the true class, so that classes of different
    size compare. Of more than 60 classes every second one is named, or third, and so on.

    Args:
        counts: (C, C), true class by predicted class.
        class_names: the C names.
    """
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    classes = len(class_names)
    side = min(max(3.6, 0.4 * classes + 1.0), MOST_SIDE)
    figure = Figure(figsize=(side + 0.8, side), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares.numpy(), vmin=0, vmax=1, cmap="Blues")
    if classes <= MOST_COUNTED:
        _write_counts(axes, counts, shares)
    right = counts.diagonal().sum().item()
    axes.set_title(f"Test set: {right:,} of {counts.sum().item():,} right")
    every = math.ceil(classes / MOST_NAMED)
    names = [as_label(name, 24) for name in class_names[::every]]
    few = "" if every == 1 else f" (one name in {every})"
    axes.set_xlabel(f"predicted class{few}")
    axes.set_ylabel(f"true class{few}")
    axes.set_xticks(range(0, classes, every), names)
    if max(map(len, names)) > 3:  # else they would run into each other
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(0, classes, every), names)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def _write_counts(axes: Axes, counts: Tensor, shares: Tensor) -> None:
    for row, line in enumerate(counts.tolist()):
        for column, count in enumerate(line):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)


def gradient_flow(history: History) -> Figure:
    """The loss curve above the heat map of RMS gradients, on one step axis."""
    figure = Figure(figsize=(9, 6.4), dpi=100)
    left = margin(figure, history.layers)
    bottom = figure.add_axes((left, 0.08, 0.84 - left, 0.5))
    top = figure.add_axes((left, 0.62, 0.84 - left, 0.33), sharex=bottom)
    top.tick_params(labelbottom=False)
    steps, losses = history.losses()
    top.plot(steps, losses, linewidth=1.2, color="tab:blue")
    if len(losses) and losses.min() > 0 and losses.max() > 20 * losses.min():
        top.set_yscale("log")
    top.set_ylabel("training loss")
    top.grid(alpha=0.3)
    top.set_title("Training loss, and RMS gradient of each layer")
    heat_map(bottom, history.layers, history.logs(), history.steps)
    colour_scale(figure, figure.add_axes((0.86, 0.08, 0.02, 0.5)))
    return figure


def effective_rates(history: StepHistory) -> Figure:
    """Effective learning rate of each layer above the sizes of its steps, both against the learning rate itself."""
    figure = Figure(figsize=(9, 6.4), dpi=100, layout="constrained")
    top, bottom = figure.subplots(2, sharex=True)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, max(len(history.layers), 1)))
    for axes, name, style in ((top, "effective_lr", "-"), (bottom, "step_rms", "-"), (bottom, "step_max", ":")):
        *layers, rate = history.lines(name)
        for (steps, values), colour in zip(layers, colours, strict=True):
            axes.plot(steps, values, style, color=colour, linewidth=1.4)
        if name != "step_max":
            axes.plot(*rate, "--", color="black", linewidth=1)
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    top.set_title("What the optimizer makes of each layer's gradients")
    top.set_ylabel("effective learning rate")
    bottom.set_ylabel("step of an entry\n(solid: RMS, dotted: largest)")
    bottom.set_xlabel("step")
    bottom.set_xlim(left=0)
    every = math.ceil(max(len(history.layers), 1) / MOST_LABELS)
    shown = [(name, colour) for name, colour in zip(layer_labels(history.layers), colours, strict=True)][::every]
    handles = [Line2D([], [], color=colour, label=name) for name, colour in shown]
    handles.append(Line2D([], [], color="black", linestyle="--", linewidth=1, label="learning rate"))
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    return figure


class GradientFlowImage:
    """The heat map of RMS gradients as an image, drawn many times in a training.

    Frame, axes and scale are drawn once and kept; only the map is drawn anew, until steps go beyond the axis. That
    takes a tenth of the time of a whole figure.

    Args:
        steps: of the whole training, if they are known.
    """

    def __init__(self, steps: int | None) -> None:
        self._steps = steps
        self._drawn: tuple[Canvas, Axes, AxesImage, object] | None = None

    def draw(self, history: History) -> np.ndarray:
        """RGB values, (height, width, 3) uint8."""
        if self._steps is None or history.steps > self._steps:
            self._steps, self._drawn = history.steps if self._steps is None else 2 * history.steps, None
        if self._drawn is None:
            self._drawn = self._frame(history.layers)
        canvas, axes, image, background = self._drawn
        canvas.put_back(background)
        image.set_data(history.logs())
        image.set_extent((0, history.steps, 0.5, len(history.layers) + 0.5))
        axes.set_xlim(0, self._steps)
        axes.draw_artist(image)
        return canvas.pixels()[..., :3]

    def _frame(self, layers: Sequence[str]) -> tuple[Canvas, Axes, AxesImage, object]:
        assert self._steps is not None
        with matplotlib.rc_context({"font.size": 13}):  # TensorBoard shows it 350 pixels wide
            figure = Figure(figsize=(5.6, 4.2), dpi=100)
            canvas = Canvas(figure)
            left = margin(figure, layers)
            axes = figure.add_axes((left, 0.14, 0.78 - left, 0.77))  # a layout would draw it twice to find these
            image = heat_map(axes, layers, np.full((len(layers), 1), np.nan), self._steps)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_title("RMS gradient of each layer")
            colour_scale(figure, figure.add_axes((0.81, 0.14, 0.03, 0.77)))
            canvas.draw()
        return canvas, axes, image, canvas.keep()
