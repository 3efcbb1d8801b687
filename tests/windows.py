"""What Windows refuses and POSIX allows, as it can be pretended on Linux, which tells what a process has open."""

import errno
import os
import re
from pathlib import Path, PureWindowsPath

import pytest

OPEN = Path("/proc/self/fd")
HOME = PureWindowsPath(r"C:\Users\Rosalind Franklin\Documents\lit_dl")
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
MOST = 259  # characters of a path, less the zero at its end


def pretend_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process meet, for a test, what it would meet on Windows.

    A file that is open cannot be removed, renamed or replaced, and only what is open for writing can be flushed.
    """
    if not OPEN.is_dir():
        pytest.skip("this system does not tell what a process has open")

    def refuse_open(name):
        called = getattr(os, name)

        def careful(*paths, **options):
            taken = {os.path.realpath(path) for path in paths if isinstance(path, str | os.PathLike)}
            if held := taken & open_files():
                raise PermissionError(errno.EACCES, "WinError 32: another process is using the file", *held)
            return called(*paths, **options)

        monkeypatch.setattr(os, name, careful)

    for name in ("unlink", "remove", "rename", "replace"):
        refuse_open(name)
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: _check_writable(number) or flush(number))


def open_files() -> set[str]:
    """The files and folders that this process has open."""
    found = set()
    for descriptor in OPEN.iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except OSError:
            continue  # of the listing itself
    return found


def _check_writable(number: int) -> None:
    import fcntl

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")


def is_refused(name: str) -> bool:
    """Whether Windows takes no file of that name: it names a device, or has or ends in what no name may."""
    return name.partition(".")[0].strip().upper() in DEVICES or bool(re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', name))


def refused_names(folder: Path) -> list[str]:
    """What is under ``folder`` that Windows would not take there, if the folder were a student's clone of lit_dl."""
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    folded = [str(path).casefold() for path in paths]
    return [
        str(path)
        for path, name in zip(paths, folded, strict=True)
        if folded.count(name) > 1 or len(str(HOME / path)) > MOST or is_refused(path.name)
    ]
