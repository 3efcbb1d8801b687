"""Image data sets in MNIST's format: IDX files in torchvision's folder layout, fetched when they are not there."""

import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock
from torch import Tensor

from lit_dl.data.base import InMemoryData, Samples
from lit_dl.data.download import fetch, md5_of

LOCK_SECONDS = 900.0  # how long a run waits for another one's download
FILE_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class IDXFile(NamedTuple):
    """One file of a data set, known gzipped by its MD5 and plain by its MD5 or, where none is known, by its shape."""

    name: str
    shape: tuple[int, ...]
    gz_md5: str
    plain_md5: str | None

    def copies(self, folder: Path) -> dict[Path, str | None]:
        """The files of ``folder`` that it can be read from, quickest first, with the MD5 they should have."""
        known = {folder / self.name: self.plain_md5, folder / f"{self.name}.gz": self.gz_md5}
        return {path: md5 for path, md5 in known.items() if path.is_file()}


class IDXImages(InMemoryData):
    """Grey images of 28x28 pixels in four files: images and labels of the pool, images and labels of the test set.

    They are looked for in ``root/<folder_name>/raw``, gzipped or not. Gzipped ones are checked against the MD5 that
    torchvision knows them by; plain ones against theirs or, where a subclass has none, for the shape and the range of
    the labels. A missing or damaged file is downloaded.

    Args:
        root: folder above ``<folder_name>/raw``.
        mirrors: addresses, each ending in a slash, that serve the gzipped files.
        val_fraction: the default holds out 5,000 of 60,000.
        options: the other arguments of ``InMemoryData``.

    Raises:
        OSError: from ``prepare_data``, when files are missing or damaged and cannot be downloaded.
    """

    in_shape = (1, 28, 28)
    num_classes = 10
    folder_name: str
    mirrors: Sequence[str]
    counts = (60_000, 10_000)  # images of the pool and of the test set
    gz_md5: tuple[str, ...]  # of the four files, in the order of FILE_NAMES
    plain_md5: tuple[str, ...] | None = None
    labels: tuple[str, ...] = tuple("0123456789")

    def __init__(
        self,
        root: str | Path = "data",
        mirrors: Sequence[str] | None = None,
        val_fraction: float = 1 / 12,
        **options: Any,
    ) -> None:
        super().__init__(val_fraction=val_fraction, **options)
        self.folder = Path(root) / self.folder_name / "raw"
        if mirrors is not None:
            self.mirrors = mirrors

    @property
    def class_names(self) -> list[str]:
        """What the images of each class show."""
        return list(self.labels)

    def prepare_data(self) -> None:
        """Make sure that a good copy of each file is there."""
        if self.train_set is not None or not self._needed():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".download.lock", timeout=LOCK_SECONDS):
                needed = self._needed()  # again: another run may have fetched them meanwhile
                if needed:
                    fetch({f"{file.name}.gz": file.gz_md5 for file in needed}, self.mirrors, self.folder)
        except OSError as error:
            raise OSError(self._what_is_wrong(error)) from error

    def load_pool(self) -> Samples:
        """(60000, 1, 28, 28) uint8 and (60000,) labels."""
        return self._load(*self._files()[:2])

    def load_test(self) -> Samples:
        """(10000, 1, 28, 28) uint8 and (10000,) labels."""
        return self._load(*self._files()[2:])

    def _files(self) -> list[IDXFile]:
        shapes = [shape for count in self.counts for shape in ((count, *self.in_shape[1:]), (count,))]
        plain = self.plain_md5 or (None,) * len(FILE_NAMES)
        return [IDXFile(*known) for known in zip(FILE_NAMES, shapes, self.gz_md5, plain, strict=True)]

    def _needed(self) -> list[IDXFile]:
        return [file for file in self._files() if self._good_copy(file) is None]

    def _good_copy(self, file: IDXFile) -> Path | None:
        for path, md5 in file.copies(self.folder).items():
            if self._fault(path, md5, file.shape) is None:
                return path
        return None

    def _fault(self, path: Path, md5: str | None, shape: tuple[int, ...]) -> str | None:
        if md5 is not None:
            return None if (found := md5_of(path)) == md5 else f"md5 expected {md5}, found {found}"
        try:
            values = read_idx(path.read_bytes())
        except ValueError as error:
            return str(error)
        if values.shape != shape:
            return f"shape expected {_times(shape)}, found {_times(values.shape)}"
        if values.dim() == 1 and values.max() >= self.num_classes:
            return f"labels expected from 0 to {self.num_classes - 1}, found {values.max()}"
        return None

    def _load(self, *files: IDXFile) -> Samples:
        images, labels = (self._read(file) for file in files)
        return images.unsqueeze(1), labels.long()

    def _read(self, file: IDXFile) -> Tensor:
        path = self._good_copy(file)
        if path is None:
            raise OSError(self._what_is_wrong(f"{file.name} is missing or damaged"))
        content = path.read_bytes()
        return read_idx(gzip.decompress(content) if path.suffix == ".gz" else content)

    def _what_is_wrong(self, reason: object) -> str:
        damaged = [
            f"{path} is damaged: {fault}."
            for file in self._files()
            for path, md5 in file.copies(self.folder).items()
            if (fault := self._fault(path, md5, file.shape)) is not None
        ]
        names = ", ".join(f"{file.name}.gz" for file in self._needed())
        return "\n".join(
            [
                *damaged,
                f"{self.name} could not be fetched: {reason}.",
                f"Put good copies into {self.folder.absolute()}: {names};",
                f"or name the folder above {self.folder_name}/raw that has them: data.root=DIR or LIT_DL_DATA_DIR=DIR.",
                "Without a download: data=digits (1,797 real scans), data=spiral (generated).",
            ]
        )


def _times(shape: Sequence[int]) -> str:
    return "x".join(str(side) for side in shape)


def read_idx(content: bytes) -> Tensor:
    """The uint8 array of an IDX file, whose format is two zero bytes, the type (8 is unsigned byte), the number of
    dimensions, their sizes as big-endian 32-bit numbers, then the values, last dimension fastest.

    Raises:
        ValueError: if the content is no such file.
    """
    if content[:3] != b"\x00\x00\x08" or len(content) < 4 or len(content) < 4 + 4 * content[3]:
        raise ValueError(f"not an IDX file of unsigned bytes: it begins with {content[:4].hex(' ')}")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if len(content) - start != math.prod(shape):
        raise ValueError(f"an IDX file of shape {shape} needs {math.prod(shape)} values, found {len(content) - start}")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)
