"""Checkpoints on the disk: replaced whole, each with its checksum beside it, and which of them are whole."""

import hashlib
import zipfile
from contextlib import suppress
from pathlib import Path

from lit_dl.records.files import BEST, CHECKPOINTS, LAST, replacing, write_text


def checksum_file(path: Path) -> Path:
    """The file beside a checkpoint that has its checksum, in the form of ``sha256sum``."""
    return path.with_name(f"{path.name}.sha256")


def write_checkpoint(path: Path, content: "bytes | memoryview") -> None:
    """Write a checkpoint atomically, with its checksum.

    While the one is replaced by the other, the checksum file has a line for each: two files cannot change at once.

    Raises:
        OSError: if it cannot be written; the checkpoint that was there stays, and its checksum.
    """
    beside = checksum_file(path)
    before = beside.read_text(encoding="utf-8") if beside.is_file() else _line(path) if path.is_file() else ""
    line = f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"
    try:
        write_text(beside, line + before, durable=False)
        with replacing(path) as part:
            part.write_bytes(content)
    except OSError:
        with suppress(OSError):
            write_text(beside, before, durable=False) if before else beside.unlink()
        raise
    if before:
        write_text(beside, line, durable=False)


def is_damaged(path: Path) -> bool:
    """Whether a checkpoint is not what was written: it differs from its checksum.

    Where there is none, as older versions of lit_dl wrote none, the checksums inside the archive are what counts.
    """
    try:
        beside = checksum_file(path)
        if beside.is_file():
            return _line(path) not in beside.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return True


def whole_checkpoints(folder: Path, names: tuple[str, ...] = (LAST, BEST)) -> tuple[list[Path], list[Path]]:
    """Of a run folder's checkpoints of these names, in this order, those that are whole and those that are damaged."""
    paths = [path for name in names if (path := folder / CHECKPOINTS / f"{name}.ckpt").exists()]
    damaged = [path for path in paths if is_damaged(path)]
    return [path for path in paths if path not in damaged], damaged


def _line(path: Path) -> str:
    with path.open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n"
