"""Who holds a run folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lit_dl.errors import CommandError
from lit_dl.records.files import LOCK_FILE


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the run folder, so that a run that is still going is not resumed by a second process.

    Raises:
        CommandError: if another process holds it.
    """
    from filelock import FileLock, Timeout

    # Variable of Lightning's and torch's launchers: DDP's other processes work for the one that holds the folder.
    if os.environ.get("LOCAL_RANK", "0") != "0":
        yield
        return
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise CommandError(f"{folder}: another process is at work there; wait for it, or stop it") from error
    try:
        yield
    finally:
        lock.release()


def is_running(folder: Path) -> bool:
    """Whether a process is at work on the run in ``folder``."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK_FILE).exists():
        return False
    try:
        with FileLock(folder / LOCK_FILE, timeout=0):
            return False
    except (Timeout, OSError):
        return True
