"""Decision regions as pictures: the plane in the colours of the classes, the points over it."""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw
from PIL.ImageFont import truetype

from lit_dl.plots.canvas import Canvas
from lit_dl.plots.labels import as_label

FAINT, STRONG = 0.1, 0.55  # share of a class's colour where the classes are even, and where one is certain
NOWHERE = 200  # grey, where the network's output is not finite
WIDTH, SIDE = 400, 300  # pixels of an image, and of the plane in it
MOST_IN_LEGEND = 40  # classes; their colours repeat after twenty
LEFT, TOP = 82, 40  # pixels beside and above the plane

Extent = tuple[float, float, float, float]
"""Left, right, bottom and top of a part of the plane."""


def class_colours(classes: int) -> np.ndarray:
    """RGB from 0 to 1, (classes, 3); they repeat after twenty."""
    names = "tab10" if classes <= 10 else "tab20"
    return np.array(
        [matplotlib.colormaps[names](label % matplotlib.colormaps[names].N)[:3] for label in range(classes)]
    )


def region_colours(probabilities: np.ndarray) -> np.ndarray:
    """RGB values, (..., 3) uint8, of points whose classes have these probabilities, (..., C).

    The colour is that of the likeliest class, mixed with white: the more so the nearer its probability is to 1 / C.
    """
    classes = probabilities.shape[-1]
    likeliest = np.nan_to_num(probabilities).argmax(axis=-1)
    certainty = (probabilities.max(axis=-1) * classes - 1) / (classes - 1)
    share = FAINT + (STRONG - FAINT) * np.nan_to_num(certainty)[..., None]
    mixed = (255 * (1 - share * (1 - class_colours(classes)[likeliest]))).astype(np.uint8)
    mixed[np.isnan(certainty)] = NOWHERE
    return mixed


def decision_regions(
    regions: np.ndarray, extent: Extent, points: np.ndarray, labels: np.ndarray, classes: int, title: str
) -> Figure:
    """The regions with the points over them, each class with its colour in the legend.

    Args:
        regions: RGB values, (height, width, 3), the bottom row first.
        extent: of the regions.
        points: (N, 2).
        labels: (N,), the true classes.
        classes: how many there are.
    """
    figure = Figure(figsize=(6.6, 5.6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(regions, extent=extent, origin="lower", interpolation="nearest", aspect="auto")
    _draw_points(axes, points, labels, classes, size=4)
    axes.set_title(as_label(title, 80), fontsize=11)
    _name_axes(axes, extent)
    handles, names = axes.get_legend_handles_labels()
    shown = names[:MOST_IN_LEGEND]
    few = "" if len(shown) == classes else f" (the first {len(shown)} of {classes})"
    figure.legend(
        handles[: len(shown)], shown, loc="outside right upper", title=f"class{few}", markerscale=2,
        ncols=math.ceil(len(shown) / 20),
    )  # fmt: skip
    return figure


class RegionsImage:
    """The same as a small image, drawn many times in a training.

    Points and axes are drawn once and laid over each new plane, which takes a tenth of the time of a whole figure.

    Args:
        extent: of the regions.
        points, labels, classes: as ``decision_regions`` has them.
    """

    def __init__(self, extent: Extent, points: np.ndarray, labels: np.ndarray, classes: int) -> None:
        over = self._drawn_once(extent, points, labels, classes)  # (WIDTH, WIDTH, 4)
        self._covered = over[..., 3].nonzero()
        self._opacity = over[self._covered][:, 3:].astype(np.float32) / 255
        self._ink = over[self._covered][:, :3] * self._opacity
        self._font = truetype(findfont("DejaVu Sans"), 14)  # matplotlib's own

    def draw(self, regions: np.ndarray, title: str) -> np.ndarray:
        """RGB values, (400, 400, 3) uint8.

        Args:
            regions: RGB values, (n, n, 3), the bottom row first; 300 is a multiple of n.
        """
        factor = SIDE // len(regions)
        image = np.full((WIDTH, WIDTH, 3), 255, dtype=np.uint8)
        image[:TOP] = self._drawn_title(title)
        image[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = regions[::-1].repeat(factor, axis=0).repeat(factor, axis=1)
        image[self._covered] = image[self._covered] * (1 - self._opacity) + self._ink
        return image

    def _drawn_title(self, title: str) -> np.ndarray:
        """By Pillow, which takes a tenth of matplotlib's time."""
        strip = Image.new("RGB", (WIDTH, TOP), "white")
        ImageDraw.Draw(strip).text((WIDTH / 2, TOP - 12), title, "black", self._font, anchor="ms")
        return np.asarray(strip)

    @staticmethod
    def _drawn_once(extent: Extent, points: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
        figure = Figure(figsize=(WIDTH / 100, WIDTH / 100), dpi=100)
        canvas = Canvas(figure)
        figure.patch.set_alpha(0)
        axes = figure.add_axes((LEFT / WIDTH, 1 - (TOP + SIDE) / WIDTH, SIDE / WIDTH, SIDE / WIDTH))
        axes.patch.set_alpha(0)
        _draw_points(axes, points, labels, classes, size=2.8)
        _name_axes(axes, extent)
        canvas.draw()
        return canvas.pixels().copy()


def _draw_points(axes: Axes, points: np.ndarray, labels: np.ndarray, classes: int, size: float) -> None:
    for label, colour in enumerate(class_colours(classes)):
        x, y = points[labels == label].T
        axes.plot(x, y, "o", color=colour, markersize=size, markeredgecolor="white", markeredgewidth=0.3, label=label)


def _name_axes(axes: Axes, extent: Extent) -> None:
    axes.locator_params(nbins=6)
    axes.set_xlim(*extent[:2])
    axes.set_ylim(*extent[2:])
    axes.set_xlabel("feature 1")
    axes.set_ylabel("feature 2")
