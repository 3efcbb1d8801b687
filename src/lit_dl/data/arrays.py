"""One's own data: inputs and labels, or targets, in an ``.npz`` file."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_dl.data.base import InMemoryData, Samples, check_classes, hold_out
from lit_dl.data.npy import Header, memory, read_header
from lit_dl.errors import check_fraction, check_path, one_line

EXAMPLE = "np.savez('my.npz', x=x, y=y)"
NUMBERING = (
    "classes are numbered from 0 without gaps, and there are two or more: y = np.unique(y, return_inverse=True)[1], "
    "or, if these are numbers to predict, y.astype(float)"
)


class Arrays(InMemoryData):
    """The arrays ``x`` and ``y`` of an ``.npz`` file and, if it has them, ``x_test`` and ``y_test``.

    ``x`` is (N, F) for vectors, (N, C, H, W) for images, (N, H, W) for images of one channel. As everywhere, uint8 is
    scaled to [0, 1]. The type of ``y`` says what is learned:

    - whole numbers or true and false, (N,): classes 0 to C - 1, each of which occurs.
    - floating-point numbers, (N,) or (N, T): T targets of a regression. They stay as they are, ``normalize`` or not.

    All is read when the object is made, and held in memory.

    Args:
        path: of the file.
        test_fraction: share of the samples that is the test set, the same whatever the seeds, where the file has none.
        options: the arguments of ``InMemoryData``.

    Raises:
        OSError: if there is no such file, or it cannot be read, as it is damaged or too large for the memory.
        ValueError: for an argument out of its range, and for arrays that are not as above; names file and array.
    """

    def __init__(self, path: str | Path | None = None, test_fraction: float = 0.2, **options: Any) -> None:
        super().__init__(**options)
        check_fraction("test_fraction", test_fraction)
        if path is None:
            raise ValueError(f"path is null; name a file made by {EXAMPLE}: data.path=my.npz")
        check_path("path", path, "file")
        file = Path(path)
        arrays = _read(file)
        self.name = file.name
        inputs, labels = _samples(file, arrays, "x", "y", least=2 if "x_test" in arrays else 3)
        self.in_shape = tuple(inputs.shape[1:])
        if labels.is_floating_point():
            self.num_targets = labels.shape[1]
        else:
            self.num_classes = _count_classes(file, labels)
        if "x_test" in arrays:
            self._pool, self._test = (inputs, labels), _samples(file, arrays, "x_test", "y_test", least=1)
            _check_alike(file, self._pool, self._test)
        else:
            pool, test = hold_out(len(labels), test_fraction)
            self._pool, self._test = (inputs[pool], labels[pool]), (inputs[test], labels[test])

    def load_pool(self) -> Samples:
        """``x`` and ``y``, less the test set where that is split off."""
        return self._pool

    def load_test(self) -> Samples:
        """``x_test`` and ``y_test``, or what is split off."""
        return self._test


def _read(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        kind = "a folder" if file.is_dir() else "no file"
        raise FileNotFoundError(f"{file.absolute()} is {kind}; data.path=FILE names one made by {EXAMPLE}")
    with file.open("rb") as stream:
        begins_as_zip = stream.read(4) == b"PK\x03\x04"
    if not begins_as_zip and not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is no .npz file; make one by {EXAMPLE}")
    with _damage_told(str(file)):
        archive = zipfile.ZipFile(file)
    with archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        names = [name for name in ("x", "y", "x_test", "y_test") if name in members]
        if not {"x", "y"} <= set(names):
            raise ValueError(f"{file} has {one_line(', '.join(members)) or 'nothing'}, but needs x and y: {EXAMPLE}")
        if len(names) == 3:
            raise ValueError(f"{file} has {names[-1]} alone; a test set is x_test and y_test")
        return {name: _array(file, archive, members[name], name) for name in names}


@contextmanager
def _damage_told(what: str) -> Iterator[None]:
    """Whatever zipfile, its decompressors and numpy make of a stranger's bytes, as one message of what is read."""
    try:
        yield
    except MemoryError as error:
        raise OSError(f"{what} is more than the memory of this machine holds; take fewer samples") from error
    except Exception as error:
        why = one_line(error, most=500) or type(error).__name__
        raise OSError(f"{what} is damaged, or was not written to its end ({why}). Make it anew by {EXAMPLE}") from error


def _array(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    with _damage_told(f"{file}: {name}"), archive.open(member) as stream:
        header = read_header(stream, member.file_size)
    _check_header(file, name, header)
    with _damage_told(f"{file}: {name}"), archive.open(member) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return _finite(file, name, array) if array.dtype.kind == "f" else array


def _check_header(file: Path, name: str, header: Header) -> None:
    if header.dtype.hasobject:
        raise ValueError(
            f"{file}: {name} holds Python objects, which are not read; make it numbers of one shape: "
            f"{name} = np.array({name}.tolist(), dtype=float)"
        )
    if header.dtype.kind not in "fiub":
        raise ValueError(f"{file}: {name} is of type {one_line(header.dtype)}; it must be numbers, or true and false")
    if header.entries == 0:
        raise ValueError(f"{file}: {name} is empty, its shape is {header.shape}")
    needed = header.entries * (header.dtype.itemsize + 4)  # as it is in the file, and as float32
    if needed > memory():
        raise OSError(
            f"{file}: {name} has {header}, which takes {needed:,} bytes; this machine has {memory():,}. "
            "Take fewer samples"
        )


def _finite(file: Path, name: str, array: np.ndarray) -> np.ndarray:
    """The same as float32."""
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    wrong = ~np.isfinite(array)
    if count := int(wrong.sum()):
        first = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(
            f"{file}: {name} has {count:,} values that are nan, infinite or too large for float32, the first at "
            f"{list(first)}; leave their samples out, or replace them: {name} = np.nan_to_num({name})"
        )
    return array


def _samples(file: Path, arrays: dict[str, np.ndarray], x: str, y: str, least: int) -> Samples:
    inputs, labels = _inputs(file, x, arrays[x]), _labels(file, y, arrays[y])
    if len(inputs) != len(labels):
        raise ValueError(f"{file}: {x} has {len(inputs):,} samples, but {y} has {len(labels):,}; they must be as many")
    if len(inputs) < least:
        raise ValueError(f"{file}: {x} has {len(inputs)} samples; each part needs one, so it takes {least} at least")
    return inputs, labels


def _inputs(file: Path, name: str, array: np.ndarray) -> Tensor:
    if not 2 <= array.ndim <= 4:
        raise ValueError(
            f"{file}: {name} has shape {array.shape}; it must be (N, features), (N, height, width) or "
            "(N, channels, height, width)"
        )
    if array.ndim == 4 and array.shape[3] <= 4 < array.shape[1]:
        raise ValueError(
            f"{file}: {name} has shape {array.shape}; channels come before height and width: "
            f"{name} = {name}.transpose(0, 3, 1, 2)"
        )
    inputs = torch.from_numpy(array if array.dtype == np.uint8 else array.astype(np.float32))
    return inputs.unsqueeze(1) if inputs.dim() == 3 else inputs


def _labels(file: Path, name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind == "f" and array.ndim in (1, 2):
        return torch.from_numpy(array.reshape(len(array), -1))
    if array.ndim != 1:
        raise ValueError(
            f"{file}: {name} has shape {array.shape} and type {array.dtype}; labels are whole numbers, (N,), and "
            f"targets floating-point ones, (N,) or (N, T): {name}.argmax(1) of one-hot rows, {name}.astype(float)"
        )
    if int(array.max()) >= 2**63:
        raise ValueError(f"{file}: {name} has labels up to {array.max():,}; {NUMBERING}")
    return torch.from_numpy(array.astype(np.int64))


def _count_classes(file: Path, labels: Tensor) -> int:
    classes = torch.from_numpy(np.unique(labels.numpy()))
    least, most = int(classes[0]), int(classes[-1])
    if least != 0 or most != len(classes) - 1 or most == 0:
        raise ValueError(f"{file}: y has {len(classes):,} different labels from {least} to {most}; {NUMBERING}")
    check_classes(f"{file}: y", len(classes))
    return len(classes)


def _check_alike(file: Path, pool: Samples, test: Samples) -> None:
    for name, ours, theirs in zip(("x", "y"), pool, test, strict=True):
        if ours.shape[1:] != theirs.shape[1:] or ours.dtype != theirs.dtype:
            raise ValueError(
                f"{file}: a sample of {name} has shape {tuple(ours.shape[1:])} and is read as {ours.dtype}, one of "
                f"{name}_test {tuple(theirs.shape[1:])} and {theirs.dtype}; they must be alike"
            )
    labels, test_labels = pool[1], test[1]
    if not labels.is_floating_point() and (test_labels.min() < 0 or test_labels.max() > labels.max()):
        raise ValueError(
            f"{file}: y_test has labels from {int(test_labels.min())} to {int(test_labels.max())}, but those of y go "
            f"from 0 to {int(labels.max())}"
        )
