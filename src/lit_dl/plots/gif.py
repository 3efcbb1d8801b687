"""Moving pictures of a training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from lit_dl.records import replacing

MOST_FRAMES = 100
FRAME_SECONDS, LAST_FRAME_SECONDS = 0.1, 2.0  # that a frame stays, and the last one
COLOURS_A_FRAME = 64  # in a frame; keeps 100 frames of 400 x 400 below 3 MB


class Gif:
    """Collects frames and writes them as a GIF.

    When there are more than 100, every second one is dropped, and from then on only every second one is kept, so that
    the frames stay evenly spread over a training of any length.
    """

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []  # RGB values, (height, width, 3) uint8
        self._every = 1  # frames that one that is kept stands for
        self._seen = 0

    def add(self, frame: np.ndarray) -> None:
        """Take in the next frame."""
        if self._seen % self._every == 0:
            self.frames.append(frame)
        self._seen += 1
        if len(self.frames) > MOST_FRAMES:
            del self.frames[1::2]
            self._every *= 2

    def load(self, path: Path) -> None:
        """Go on from the frames that ``save`` wrote, if there are any."""
        if path.is_file():
            with Image.open(path) as gif:
                self.frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]

    def save(self, path: Path) -> None:
        """Write the frames, which are shown again and again.

        Raises:
            OSError: if the file cannot be written.
        """
        write_gif([Image.fromarray(f).quantize(COLOURS_A_FRAME, dither=Image.Dither.NONE) for f in self.frames], path)


def write_gif(images: Sequence[Image.Image], path: Path) -> None:
    """Write images as a GIF that runs for ever and rests on the last one.

    Args:
        images: with the colours that they are to have.

    Raises:
        OSError: if the file cannot be written.
    """
    milliseconds = [round(1000 * seconds) for seconds in (*[FRAME_SECONDS] * (len(images) - 1), LAST_FRAME_SECONDS)]
    with replacing(path) as part:
        images[0].save(part, "GIF", save_all=True, append_images=images[1:], duration=milliseconds, loop=0)
