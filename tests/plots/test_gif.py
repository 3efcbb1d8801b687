"""Moving pictures are small, whatever the training's length, and go on."""

import numpy as np
from PIL import Image

from lit_dl.plots.gif import MOST_FRAMES, Gif


def test_a_gif_of_any_length_has_at_most_a_hundred_frames_evenly_spread():
    gif = Gif()
    for number in range(1000):
        gif.add(np.full((1, 1, 3), number // 4, np.uint8))
    kept = [4 * int(frame.values()[0, 0, 0]) for frame in gif.frames]
    assert MOST_FRAMES / 2 <= len(kept) <= MOST_FRAMES
    assert set(np.diff(kept)) == {16}


def test_a_gif_goes_on_where_it_was(tmp_path):
    first, second = Gif(), Gif()
    first.add(np.zeros((8, 8, 3), np.uint8))
    first.save(tmp_path / "moving.gif")
    second.load(tmp_path / "moving.gif")
    second.add(np.full((8, 8, 3), 255, np.uint8))
    second.save(tmp_path / "moving.gif")
    with Image.open(tmp_path / "moving.gif") as gif:
        assert gif.n_frames == 2
        assert gif.convert("RGB").getpixel((0, 0)) == (0, 0, 0)
