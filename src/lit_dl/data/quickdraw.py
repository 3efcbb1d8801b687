"""Google's Quick, Draw! bitmaps: a folder of ``.npy`` files, one a class."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_dl.data.base import InMemoryData, Samples, check_classes, hold_out
from lit_dl.data.npy import read_header
from lit_dl.errors import check_count, check_fraction, check_path

SOURCE = "https://console.cloud.google.com/storage/browser/quickdraw_dataset/full/numpy_bitmap"
PREFIX = "full_numpy_bitmap_"  # put before the name by a browser that downloads from there


class QuickDraw(InMemoryData):
    """Drawings of 28x28 pixels that people made in the game Quick, Draw! (Ha and Eck 2017), of the classes at hand.

    Each ``.npy`` file of the folder is a class, named by the file, in alphabetical order; it holds (n, 784) uint8, as
    Google publishes them. The files are mapped, not read whole: they have more than 100,000 drawings each.

    Args:
        path: the folder.
        per_class: drawings taken of each class, at random but the same whatever the seeds; None takes all.
        test_fraction: share of those of each class that is the test set.
        options: the arguments of ``InMemoryData``.

    Raises:
        OSError: if the folder is missing or empty; from ``setup``, if a file is damaged.
        ValueError: for an argument out of its range, for a folder with a single class, with too many, or with one
            twice; from ``setup``, for an array of another shape or type, or with fewer drawings than asked for.
    """

    name = "quickdraw"
    in_shape = (1, 28, 28)

    def __init__(
        self,
        path: str | Path = "data/quickdraw",
        per_class: int | None = 5000,
        test_fraction: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if per_class is not None:
            check_count("per_class", per_class, ", or null for all", least=2)
        check_fraction("test_fraction", test_fraction)
        self.per_class = per_class
        self.test_fraction = test_fraction
        check_path("path", path, "folder")
        self.files = _files(Path(path))
        self.num_classes = len(self.files)

    @property
    def class_names(self) -> list[str]:
        """What is drawn."""
        return [_class_name(file) for file in self.files]

    def load_pool(self) -> Samples:
        """(N, 1, 28, 28) uint8 and (N,) labels, in the order of the classes."""
        return self._load(of_test=False)

    def load_test(self) -> Samples:
        """The same of the test set."""
        return self._load(of_test=True)

    def _load(self, of_test: bool) -> Samples:
        drawings = []
        for file in self.files:
            bitmaps = _bitmaps(file)
            drawings.append(torch.from_numpy(bitmaps[self._rows(len(bitmaps), file)[of_test].numpy()]))
        counts = torch.tensor([len(part) for part in drawings])
        return torch.cat(drawings).reshape(-1, *self.in_shape), torch.arange(self.num_classes).repeat_interleave(counts)

    def _rows(self, count: int, file: Path) -> tuple[Tensor, Tensor]:
        """Of the pool and of the test set."""
        if count < (self.per_class or 2):
            raise ValueError(
                f"per_class is {self.per_class or 'null'}, but {file} has {count:,} drawings; take as many or null"
            )
        taken = torch.randperm(count, generator=torch.Generator().manual_seed(0))[: self.per_class]
        pool, test = hold_out(len(taken), self.test_fraction)
        return taken[pool], taken[test]


def _class_name(file: Path) -> str:
    return file.stem.removeprefix(PREFIX)


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.npy"), key=_class_name)
    if not files:
        raise FileNotFoundError(
            f"{folder.absolute()} {'has no .npy files' if folder.is_dir() else 'is no folder'}. Put the bitmaps of two "
            f"classes or more there, such as cat.npy and dog.npy,\nfrom {SOURCE},\nor name the folder that has them: "
            "data.path=DIR, or quickdraw in LIT_DL_DATA_DIR=DIR"
        )
    check_classes(str(folder), len(files))
    names = [_class_name(file) for file in files]
    for name, following in pairwise(names):
        if name == following:
            raise ValueError(f"{folder} has two files of {name}, with {PREFIX} before the name and without; keep one")
    if len(files) == 1:
        raise ValueError(f"{files[0]} is the only class; add the bitmaps of another from {SOURCE}")
    return files


def _bitmaps(file: Path) -> np.ndarray:
    """(n, 784) uint8, mapped."""
    if not file.is_file():
        raise FileNotFoundError(f"{file} is no file; put the bitmaps of a class there, or remove it")
    try:
        with file.open("rb") as stream:
            read_header(stream, file.stat().st_size)
        bitmaps = np.lib.format.open_memmap(file, mode="r")
    except ValueError as error:
        raise OSError(f"{file} is damaged, or no .npy file: {error}. Get it again from {SOURCE}") from error
    if bitmaps.shape[1:] != (28 * 28,) or bitmaps.dtype != np.uint8:
        raise ValueError(
            f"{file} has shape {bitmaps.shape} and type {bitmaps.dtype}; a bitmap file has (n, {28 * 28}) and uint8"
        )
    return bitmaps
