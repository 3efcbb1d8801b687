"""Bytes that a stranger could hand over: arrays that would run code, and headers that claim what is not there."""

import io
import struct
from pathlib import Path

import numpy as np


class Writes:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    """An .npy file, pickled if it holds objects."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


def headed(dtype: str, shape: str, version: bytes = b"\x01\x00") -> bytes:
    """The header of an .npy file, with nothing behind it."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text
