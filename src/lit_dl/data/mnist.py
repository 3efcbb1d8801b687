"""MNIST, read from IDX files in torchvision's folder layout and fetched when they are not there."""

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


class IDXFile(NamedTuple):
    """One file of the data set, known gzipped and plain, by their MD5."""

    name: str
    gz_md5: str
    plain_md5: str

    def md5_by_name(self) -> dict[str, str]:
        """The names it may have, quickest to read first."""
        return {self.name: self.plain_md5, f"{self.name}.gz": self.gz_md5}


class MNIST(InMemoryData):
    """70,000 handwritten digits of 28x28 pixels (LeCun, Bottou, Bengio and Haffner 1998).

    The official 60,000 are the pool, the official 10,000 the test set. Files are looked for in ``root/MNIST/raw``,
    gzipped or not, and checked against their known MD5; a missing or damaged one is downloaded.

    Args:
        root: folder above ``MNIST/raw``.
        mirrors: addresses, each ending in a slash, that serve the gzipped files.
        val_fraction: the default holds out 5,000.
        options: the other arguments of ``InMemoryData``.

    Raises:
        OSError: from ``prepare_data``, when files are missing or damaged and cannot be downloaded.
    """

    name = "mnist"
    in_shape = (1, 28, 28)
    num_classes = 10
    folder_name = "MNIST"
    mirrors: Sequence[str] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://sagemaker-sample-files.s3.amazonaws.com/datasets/image/MNIST/",
    )
    # MD5 of the gzipped files as torchvision has them, and of their content.
    pool_files = (
        IDXFile("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
        IDXFile("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
    )
    test_files = (
        IDXFile("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
        IDXFile("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    )

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
        return self._load(self.pool_files)

    def load_test(self) -> Samples:
        """(10000, 1, 28, 28) uint8 and (10000,) labels."""
        return self._load(self.test_files)

    def _needed(self) -> list[IDXFile]:
        return [file for file in (*self.pool_files, *self.test_files) if self._good_copy(file) is None]

    def _good_copy(self, file: IDXFile) -> Path | None:
        for name, md5 in file.md5_by_name().items():
            path = self.folder / name
            if path.is_file() and md5_of(path) == md5:
                return path
        return None

    def _load(self, files: tuple[IDXFile, IDXFile]) -> Samples:
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
            f"{path} is damaged: md5 expected {md5}, found {found}."
            for file in (*self.pool_files, *self.test_files)
            for name, md5 in file.md5_by_name().items()
            if (path := self.folder / name).is_file() and (found := md5_of(path)) != md5
        ]
        names = ", ".join(f"{file.name}.gz" for file in self._needed())
        return "\n".join(
            [
                *damaged,
                f"{self.name} could not be fetched: {reason}.",
                f"Put good copies into {self.folder.absolute()}: {names};",
                "or name the folder above MNIST/raw that has them: data.root=DIR, or LIT_DL_DATA_DIR=DIR.",
                "Without a download: data=digits (1,797 real scans), data=spiral (generated).",
            ]
        )


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
