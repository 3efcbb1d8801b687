"""Who holds a run folder: the first of its processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lit_dl.errors import CommandError
from lit_dl.records.files import LOCK_FILE


def process_number() -> int:
    """Which of a run's processes this is: 0 is the first, over all machines. Read before torch is there.

    The variables are those of torchrun, of Lightning for the processes that it starts itself (where processes of
    several machines may have the same number, but none of them has 0), and of SLURM's srun.
    """
    variables = os.environ
    if "RANK" in variables:
        return int(variables["RANK"])
    if "LOCAL_RANK" in variables or "NODE_RANK" in variables:
        return int(variables.get("LOCAL_RANK", "0")) + int(variables.get("NODE_RANK", "0"))
    return int(variables.get("SLURM_PROCID", "0"))


def started_processes() -> int:
    """How many processes torchrun or srun started for this run; 1 where this one was started by itself."""
    by = "WORLD_SIZE" if "TORCHELASTIC_RUN_ID" in os.environ else "SLURM_STEP_NUM_TASKS"
    return int(os.environ.get(by, "1"))


def is_first() -> bool:
    """Whether this is the process that has the run folder and writes; the others work for it."""
    return process_number() == 0


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the run folder, so that a run that is still going is not resumed by a second process.

    Raises:
        CommandError: if another process holds it.
    """
    from filelock import FileLock, Timeout

    if not is_first():
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
