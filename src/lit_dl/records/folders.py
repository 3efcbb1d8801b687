"""Run folders as they come and go: their names, and leaving none behind where no run began."""

import errno
import logging
import re
from contextlib import suppress
from pathlib import Path

from lit_dl.records.files import CHECKPOINTS, HYDRA_FOLDER, LOCK_FILE, LOG_FILE, RECEIPT_FILE

NAME_LENGTH = (
    80  # bytes of a job's folder: Windows takes 260 characters for a whole path, file systems 255 bytes a name
)
DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\.|$)", re.IGNORECASE)  # names that Windows keeps for itself


def file_name(overrides: str) -> str:
    """Overrides as part of a folder's name, for any file system."""
    plain = re.sub(r"[^\w.=+-]+", "_", overrides.replace("/", "-"))
    name = plain.encode()[:NAME_LENGTH].decode(errors="ignore").strip("_.")
    return f"_{name}" if DEVICES.match(name) else name


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


def close_log() -> None:
    """Close the log of the run that ended; Hydra leaves that to whoever sets up the next one."""
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).name == LOG_FILE:
            logging.getLogger().removeHandler(handler)
            handler.close()


def check_there(folder: Path) -> None:
    """Whether a run folder is where it was.

    Raises:
        FileNotFoundError: if it was moved or removed.
    """
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the run folder has gone", str(folder))


def withdraw(folder: Path) -> None:
    """Remove what was written for a run that could not begin, in a folder where no run was before.

    Nobody may hold the folder: Windows removes no file that is open, as its lock is then.
    """
    close_log()
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (folder / HYDRA_FOLDER / name).unlink(missing_ok=True)
    for name in (
        LOG_FILE,
        LOCK_FILE,
        RECEIPT_FILE,
        "hparams.yaml",
        *(path.name for path in folder.glob("events.out.tfevents.*")),
    ):
        (folder / name).unlink(missing_ok=True)
    for empty in (
        folder / CHECKPOINTS,
        folder / HYDRA_FOLDER,
        folder,
        folder.parent,
        folder.parent.parent,
    ):
        if empty == Path.cwd():
            break
        with suppress(OSError):  # not empty, or not there
            empty.rmdir()
