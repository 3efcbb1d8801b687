"""Image data sets in MNIST's format: IDX files in torchvision's folder layout, fetched when they are not there."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from lit_dl.data.base import InMemoryData, Samples
from lit_dl.data.download import Wanted, fetch, md5_of
from lit_dl.data.web import Limits
from lit_dl.errors import check_path

FILE_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class IDXFile(NamedTuple):
    """One file of a data set, known gzipped by its MD5 and plain by its MD5 or, where none is known, by its shape."""

    name: str
    shape: tuple[int, ...]
    gz_md5: str
    plain_md5: str | None

    @property
    def plain_size(self) -> int:
        """Bytes of the plain file: magic number, sizes, values."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    @property
    def most(self) -> int:
        """Bytes that a copy can have: gzip adds less than a thousandth and a header to what cannot be compressed."""
        return self.plain_size + self.plain_size // 1000 + 1024

    def copies(self, folder: Path) -> dict[Path, str | None]:
        """The files of ``folder`` that it can be read from, quickest first, with the MD5 they should have."""
        known = {folder / self.name: self.plain_md5, folder / f"{self.name}.gz": self.gz_md5}
        return {path: md5 for path, md5 in known.items() if path.is_file()}

    def read(self, path: Path) -> Tensor:
        """The values of a copy, uint8 of the file's shape; no more is read, or unpacked, than that takes.

        Raises:
            OSError: if it cannot be read, or unpacked.
            ValueError: if it is no IDX file, or one of another shape.
        """
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
                values = read_idx(stream.read(self.plain_size + 1))
        except (EOFError, zlib.error) as error:
            raise OSError(f"it cannot be unpacked ({error})") from error
        if values.shape != self.shape:
            raise ValueError(f"shape expected {_times(self.shape)}, found {_times(values.shape)}")
        return values


class IDXImages(InMemoryData):
    """Grey images of 28x28 pixels in four files: images and labels of the pool, images and labels of the test set.

    They are looked for in ``root/<folder_name>/raw``, gzipped or not. Gzipped ones are checked against the MD5 that
    torchvision knows them by; plain ones against theirs or, where a subclass has none, for the shape and the range of
    the labels. A missing or damaged file is downloaded.

    Args:
        root: folder above ``<folder_name>/raw``.
        mirrors: addresses of http or https, each ending in a slash, that serve the gzipped files.
        val_fraction: the default holds out 5,000 of 60,000.
        options: the other arguments of ``InMemoryData``.

    Raises:
        OSError: from ``prepare_data``, when files are missing or damaged and cannot be downloaded.
        ValueError: for an argument out of its range.
    """

    in_shape = (1, 28, 28)
    num_classes = 10
    folder_name: str
    mirrors: Sequence[str]
    counts = (60_000, 10_000)  # images of the pool and of the test set
    gz_md5: tuple[str, ...]  # of the four files, in the order of FILE_NAMES
    plain_md5: tuple[str, ...] | None = None
    labels: tuple[str, ...] = tuple("0123456789")
    limits = Limits()  # of a mirror

    def __init__(
        self,
        root: str | Path = "data",
        mirrors: Sequence[str] | None = None,
        val_fraction: float = 1 / 12,
        **options: Any,
    ) -> None:
        super().__init__(val_fraction=val_fraction, **options)
        check_path("root", root, "folder")
        self.folder = Path(root) / self.folder_name / "raw"
        if mirrors is not None:
            _check_mirrors(mirrors)
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
            self._fetch()
        except OSError as error:
            problem = error
        else:
            return
        raise OSError(self._what_is_wrong(problem))  # not from it: a full disk would be told as the run folder's

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

    def _fetch(self) -> None:
        """Download what is needed, alone in the folder; the lock of a process that is killed is free at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        seconds = self.limits.file * len(FILE_NAMES)  # as long as another run's download can take
        try:
            with FileLock(self.folder / ".download.lock", timeout=seconds):
                needed = self._needed()  # again: another run may have fetched them meanwhile
                if needed:
                    wanted = [Wanted(f"{file.name}.gz", file.gz_md5, file.most) for file in needed]
                    fetch(wanted, self.mirrors, self.folder, self.limits)
        except Timeout:
            raise TimeoutError(f"another run has been downloading to {self.folder} for {seconds:g} s") from None

    def _needed(self) -> list[IDXFile]:
        return [file for file in self._files() if self._good_copy(file) is None]

    def _good_copy(self, file: IDXFile) -> Path | None:
        for path, md5 in file.copies(self.folder).items():
            if self._fault(path, md5, file) is None:
                return path
        return None

    def _fault(self, path: Path, md5: str | None, file: IDXFile) -> str | None:
        """What is wrong with a copy, as the end of a sentence that begins with its name."""
        try:
            if (size := path.stat().st_size) > file.most:
                return f"is damaged: it has {size:,} bytes, at most {file.most:,} are right"
            if md5 is not None:
                return None if (found := md5_of(path)) == md5 else f"is damaged: md5 expected {md5}, found {found}"
            values = file.read(path)
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        except ValueError as error:
            return f"is damaged: {error}"
        if values.dim() == 1 and values.max() >= self.num_classes:
            return f"is damaged: labels expected from 0 to {self.num_classes - 1}, found {values.max()}"
        return None

    def _load(self, *files: IDXFile) -> Samples:
        images, labels = (self._read(file) for file in files)
        return images.unsqueeze(1), labels.long()

    def _read(self, file: IDXFile) -> Tensor:
        path = self._good_copy(file)
        if path is None:
            raise OSError(self._what_is_wrong(f"{file.name} is missing or damaged"))
        try:
            return file.read(path)
        except (OSError, ValueError) as error:
            raise OSError(f"{path} cannot be read: {error}. Put a good copy in its place, or remove it") from error

    def _what_is_wrong(self, reason: object) -> str:
        damaged = [
            f"{path} {fault}."
            for file in self._files()
            for path, md5 in file.copies(self.folder).items()
            if (fault := self._fault(path, md5, file)) is not None
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


def _check_mirrors(mirrors: Any) -> None:
    if (
        not isinstance(mirrors, list | tuple)
        or not mirrors
        or not all(isinstance(each, str) and each.startswith(("http://", "https://")) for each in mirrors)
        or not all(each.endswith("/") for each in mirrors)
    ):
        raise ValueError(
            f"mirrors is {mirrors!r}; it must be a list of addresses of http or https, each ending in a slash, such as "
            "[https://host/folder/]"
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
