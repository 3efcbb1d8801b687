"""Augmentation: training images turned and shifted at random, anew in each epoch."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from torch.utils.data import Dataset, TensorDataset

from lit_dl.data.batches import Batches, epoch_seed

DRAWS = 2**62  # added to the seeds of the batch order, so that no order and no movement come of one seed


class Augmented(Dataset):
    """Images that are turned about their centre, then shifted, by amounts drawn anew for each image and epoch.

    What an image gets depends on the sampler's seed and epoch and on its row alone: a resumed run sees what it would
    have seen, and so do several processes.

    Args:
        samples: images (N, C, H, W) and what belongs to them, gathered by a (B,) tensor of row numbers.
        sampler: whose seed and epoch count.
        shift: most pixels, whole ones, in each direction.
        rotate: most degrees, either way.
        background: what comes in at the borders, (1, C, 1, 1).
    """

    def __init__(self, samples: TensorDataset, sampler: Batches, shift: int, rotate: float, background: Tensor) -> None:
        self.samples = samples
        self.sampler = sampler
        self.shift = shift
        self.rotate = rotate
        self.background = background
        self._epoch: int | None = None  # that of the next two
        self._shifts = torch.empty(0, 2)  # of each row, (N, 2): pixels down and to the right
        self._degrees = torch.empty(0)  # of each row, (N,), anticlockwise

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        if self._epoch != self.sampler.epoch:
            self._draw()
        images, labels = self.samples[rows]
        return move(images, self._shifts[rows], self._degrees[rows], self.background), labels

    def _draw(self) -> None:
        self._epoch = self.sampler.epoch
        generator = torch.Generator().manual_seed(DRAWS + epoch_seed(self.sampler.seed, self._epoch))
        count = len(self)
        self._shifts = torch.randint(-self.shift, self.shift + 1, (count, 2), generator=generator).float()
        self._degrees = (2 * torch.rand(count, generator=generator) - 1) * self.rotate


def move(images: Tensor, shifts: Tensor, degrees: Tensor, background: Tensor) -> Tensor:
    """Turn images about their centre, then shift them; pixels between pixels are interpolated linearly.

    The pixel at p, counted from the centre, is taken from R (p - shift), R the rotation that undoes ``degrees``.

    Args:
        images: (B, C, H, W).
        shifts: pixels down and to the right, (B, 2).
        degrees: anticlockwise, (B,).
        background: what comes in at the borders, (1, C, 1, 1).
    """
    height, width = images.shape[2:]
    angle = degrees * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    down, right = shifts.unbind(dim=1)
    # grid_sample counts x before y, from -1 to 1 over the width and over the height.
    from_x = torch.stack([cos, -sin * (height / width), (sin * down - cos * right) * (2 / width)], dim=1)
    from_y = torch.stack([sin * (width / height), cos, (-sin * right - cos * down) * (2 / height)], dim=1)
    grid = affine_grid(torch.stack([from_x, from_y], dim=1), list(images.shape), align_corners=False)
    return grid_sample(images - background, grid, align_corners=False).add_(background)
