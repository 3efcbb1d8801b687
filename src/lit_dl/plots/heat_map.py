"""Gradient flow as a heat map, on one scale wherever it is drawn."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from lit_dl.plots.labels import as_label

LEAST_POWER, MOST_POWER = -8, 2  # of ten, on the scale of RMS gradients: one for all runs, so that pictures compare
SCALE = Normalize(LEAST_POWER, MOST_POWER)
COLOUR_MAP = "viridis"
MOST_LABELS = 24  # of layers, that can be read beside each other
MOST_LETTERS = 24  # of a layer's name beside the map
FAR = 100.0  # a power of ten beyond all colours


def heat_map(axes: Axes, layers: Sequence[str], log_rms: np.ndarray, steps: int) -> AxesImage:
    """Layers from the input (bottom) to the output (top) against steps, coloured by log10 of the RMS gradient."""
    log_rms = np.clip(log_rms, -FAR, FAR)  # matplotlib overflows on 1e308
    extent = (0, max(steps, 1), 0.5, len(layers) + 0.5)
    image = axes.imshow(
        log_rms, aspect="auto", origin="lower", extent=extent, cmap=COLOUR_MAP, norm=SCALE, interpolation="nearest"
    )
    every = math.ceil(max(len(layers), 1) / MOST_LABELS)
    axes.set_yticks(range(1, len(layers) + 1, every), layer_labels(layers[::every]))
    axes.set_ylabel("layer (input at the bottom)")
    axes.set_xlabel("step")
    return image


def layer_labels(layers: Sequence[str]) -> list[str]:
    """Names of layers as they stand beside a picture."""
    return [as_label(name, MOST_LETTERS) for name in layers]


def margin(figure: Figure, layers: Sequence[str]) -> float:
    """Room for the longest name and what stands left of it, as a share of the width."""
    inches = matplotlib.rcParams["font.size"] / 72  # of the height of a letter; its width is about 0.6 of that
    return (4 * inches + 0.6 * inches * max(map(len, layer_labels(layers)), default=0)) / float(figure.get_figwidth())


def colour_scale(figure: Figure, axes: Axes | Sequence[Axes]) -> None:
    """Draw the scale of colours, into axes of its own or beside several."""
    place = {"cax": axes} if isinstance(axes, Axes) else {"ax": axes}
    bar = figure.colorbar(ScalarMappable(norm=SCALE, cmap=COLOUR_MAP), extend="both", **place)
    ticks = range(LEAST_POWER, MOST_POWER + 1, 2)
    bar.set_ticks(list(ticks), labels=["1" if tick == 0 else f"1e{tick}" for tick in ticks])
    bar.set_label("RMS gradient (log scale)")
