"""Moving pictures of a training."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageSequence

from lit_dl.records import replacing

MOST_FRAMES = 100
FRAME_SECONDS, LAST_FRAME_SECONDS = 0.1, 2.0  # that a frame stays, and the last one
COLOURS_A_FRAME = 64  # in a frame; keeps 100 frames of 400 x 400 below 3 MB


class Frame(NamedTuple):
    """An image in some hundredth of its space, so that a checkpoint can hold a hundred of them."""

    packed: bytes  # RGB values, compressed
    shape: tuple[int, ...]  # (height, width, 3)

    @classmethod
    def of(cls, values: np.ndarray) -> "Frame":
        """From RGB values, (height, width, 3) uint8."""
        return cls(zlib.compress(values.tobytes(), level=1), values.shape)

    def values(self) -> np.ndarray:
        """RGB values, (height, width, 3) uint8."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.shape)


class Gif:
    """Collects frames and writes them as a GIF.

    When there are more than 100, every second one is dropped, and from then on only every second one is kept, so that
    the frames stay evenly spread over a training of any length.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._every = 1  # frames that one that is kept stands for
        self._seen = 0

    def add(self, frame: np.ndarray) -> None:
        """Take in the next frame: RGB values, (height, width, 3) uint8."""
        if self._seen % self._every == 0:
            self.frames.append(Frame.of(frame))
        self._seen += 1
        if len(self.frames) > MOST_FRAMES:
            del self.frames[1::2]
            self._every *= 2

    def load(self, path: Path) -> None:
        """Go on from the frames that ``save`` wrote, if there are any."""
        if path.is_file():
            with Image.open(path) as gif:
                self.frames = [Frame.of(np.asarray(each.convert("RGB"))) for each in ImageSequence.Iterator(gif)]

    def state(self) -> dict[str, Any]:
        """Tensors and primitives, from which ``restore`` goes on."""
        import torch  # here, as reports draw too, and need none

        frames = [(torch.frombuffer(bytearray(frame.packed), dtype=torch.uint8), frame.shape) for frame in self.frames]
        return {"frames": frames, "every": self._every, "seen": self._seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.frames = [Frame(packed.numpy().tobytes(), tuple(shape)) for packed, shape in state["frames"]]
        self._every, self._seen = state["every"], state["seen"]

    def save(self, path: Path) -> None:
        """Write the frames, which are shown again and again.

        Raises:
            OSError: if the file cannot be written.
        """
        images = (Image.fromarray(frame.values()) for frame in self.frames)
        write_gif([image.quantize(COLOURS_A_FRAME, dither=Image.Dither.NONE) for image in images], path)


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
