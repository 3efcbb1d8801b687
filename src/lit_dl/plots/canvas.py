"""Matplotlib's canvas in memory, with the types that its own methods lack."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lit_dl.records import replacing


class Canvas:
    """A figure as an image, of which a part can be kept and put back: quicker than drawing all of it anew.

    Args:
        figure: is drawn by ``draw``.
    """

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._agg: Any = FigureCanvasAgg(figure)

    def draw(self) -> None:
        """Draw the whole figure."""
        self._agg.draw()

    def keep(self) -> object:
        """The image as it is now, for ``put_back``."""
        return self._agg.copy_from_bbox(self._figure.bbox)

    def put_back(self, kept: object) -> None:
        """Make the image what it was."""
        self._agg.restore_region(kept)

    def pixels(self) -> np.ndarray:
        """RGBA values of the image, (height, width, 4) uint8; they change with it."""
        return np.asarray(self._agg.buffer_rgba())


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as the kind of picture that its name says, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    with replacing(path) as part:
        figure.savefig(part, format=path.suffix[1:])
