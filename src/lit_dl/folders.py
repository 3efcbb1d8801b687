"""Run folders as they come and go: their names, who holds them, and leaving none behind where no run began."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lit_dl import records
from lit_dl.checks import CommandError

LOG_FILE = "train.log"  # as conf/hydra/job_logging has it
NAME_LENGTH = 120  # of a job's folder; file systems take 255 bytes


def file_name(overrides: str) -> str:
    """Overrides as part of a folder's name, for any file system."""
    return re.sub(r"[^\w.=+-]+", "_", overrides.replace("/", "-"))[:NAME_LENGTH].strip("_.")


def new_folder(path: str) -> str:
    """Make a folder of that name or, where another run has begun in the same second, with a number behind it."""
    for name in (path, *(f"{path}_{number}" for number in range(2, 1000))):
        try:
            Path(name).mkdir(parents=True)
            return name
        except FileExistsError:
            continue
        except OSError:
            break  # Hydra meets the same error, and it is told from there
    return path


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the run folder, so that a run that is still going is not resumed by a second process.

    Raises:
        CommandError: if another process holds it.
    """
    from filelock import FileLock, Timeout

    if os.environ.get("LOCAL_RANK", "0") != "0":  # DDP's other processes work for the one that holds it
        yield
        return
    lock = FileLock(folder / records.LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise CommandError(f"{folder}: another process is at work there; wait for it, or stop it") from error
    try:
        yield
    finally:
        lock.release()


def withdraw(folder: Path) -> None:
    """Remove what was written for a run that could not begin, in a folder where no run was before."""
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (folder / records.HYDRA_FOLDER / name).unlink(missing_ok=True)
    for name in (
        LOG_FILE,
        records.LOCK_FILE,
        "hparams.yaml",
        *(path.name for path in folder.glob("events.out.tfevents.*")),
    ):
        (folder / name).unlink(missing_ok=True)
    for empty in (
        folder / records.CHECKPOINTS,
        folder / records.HYDRA_FOLDER,
        folder,
        folder.parent,
        folder.parent.parent,
    ):
        if empty == Path.cwd():
            break
        with suppress(OSError):  # not empty, or not there
            empty.rmdir()
