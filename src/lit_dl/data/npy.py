"""The headers of ``.npy`` files: claims that are checked before memory is taken or a byte of the values is read."""

import math
from typing import IO, NamedTuple

import numpy as np

from lit_dl.devices import machine_memory
from lit_dl.errors import one_line

READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # differs in the names of fields, of which numbers have none
}


class Header(NamedTuple):
    """What an array is said to be."""

    shape: tuple[int, ...]
    dtype: np.dtype
    length: int  # of the header itself, in bytes

    @property
    def entries(self) -> int:
        """How many values it has, as an exact number, however large."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"shape {one_line(self.shape)} and type {one_line(self.dtype)}"


def read_header(stream: IO[bytes], held: int) -> Header:
    """The header at the start of a stream, if there are as many values behind it as it says.

    Args:
        stream: of an ``.npy`` file, at its start.
        held: bytes that the stream has.

    Raises:
        ValueError: if it is no header, or claims more or less than there is.
    """
    try:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = READERS[version](stream)
    except KeyError as error:
        raise ValueError(f"its version {error} is none of {', '.join(map(str, READERS))}") from error
    except Exception as error:  # numpy parses it as Python: a stranger's text can raise a dozen kinds of errors
        raise ValueError(f"its header cannot be read: {one_line(error) or type(error).__name__}") from error
    header = Header(tuple(map(int, shape)), dtype, stream.tell())
    if min(shape, default=0) < 0:
        raise ValueError(f"its header claims {header}")
    claimed = header.length + header.entries * dtype.itemsize
    if claimed != held and not dtype.hasobject:
        raise ValueError(f"its header claims {header}, which takes {claimed:,} bytes, but it has {held:,}")
    return header


def memory() -> float:
    """Bytes of this machine's memory; infinite where the system does not tell."""
    return machine_memory() or math.inf
