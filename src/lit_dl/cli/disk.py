"""What a run does when the disk is full or its folder goes: what it can do without, and what it says."""

import errno
import logging
import sys
from pathlib import Path

from lit_dl import records
from lit_dl.console import relative, say, say_error
from lit_dl.shell import quote

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room on the disk, in the quota, or for so long a file
BOARD = "TensorBoard's curves"


class Lost:
    """What could not be written and a run can do without: training goes on, and ends with exit code 1."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """For a job that begins: nothing is lost so far."""
        self.why: dict[str, str] = {}  # by what was lost
        self._over = False  # whether the run has failed

    def give_up(self) -> None:
        """The run has failed, and what it says of that is enough."""
        self._over = True

    def note(self, what: str, error: OSError, folder: Path) -> None:
        """Say that ``what`` ends here, at once and once; nothing if the whole folder has gone, which ends the run."""
        if self._over or what in self.why or not folder.is_dir():
            return
        self.why[what] = error.strerror or str(error)
        say(f"{what} cannot be written: {self.why[what]}. The training goes on without", style="yellow")

    def tell(self, folder: Path) -> bool:
        """Say at the end of a run that has not failed what is missing; whether anything is."""
        if self._over or not self.why:
            return False
        missing = "; ".join(f"{what} could not be written ({why})" for what, why in self.why.items())
        say_error(f"{missing}. The record and the checkpoints are whole: {relative(folder)}")
        return True


lost = Lost()  # by the job that this process is at


class LogFile(logging.FileHandler):
    """``train.log``, for ``conf/hydra/job_logging/file.yaml``: a line that cannot be written ends no run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            super().emit(record)
        except OSError as error:  # the file cannot be opened
            self._note(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Note what is wrong with the disk; say nothing of the rest, as ``logging`` is told to."""
        if isinstance(error := sys.exc_info()[1], OSError):
            self._note(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file, also where its last lines do not get there."""
        try:
            super().close()
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        lost.note(records.LOG_FILE, error, Path(self.baseFilename).parent)


def why_not_written(error: OSError, folder: Path) -> str:
    """What to say of an error that ended the run in ``folder``: which file it was, and the way on."""
    if not folder.is_dir():
        return (
            f"{folder}: the run folder was moved or removed, which ended the run. Nothing was written elsewhere\n"
            "To go on from its last checkpoint: resume=FOLDER, with the name that it has now"
        )
    if error.errno is None:  # of lit_dl, in words
        return str(error)
    what = f"{error.strerror}: {error.filename or folder}"
    if error.errno not in FULL:
        return what
    again = "start again"
    if records.last_checkpoint(folder).is_file():
        again = f"go on: python -m lit_dl.train resume={quote(relative(folder))}"
    return f"{what}\nMake room, then {again}"


def not_begun(error: OSError) -> str:
    """What to say where a run or a sweep could not begin, or a sweep could not go on."""
    if error.errno is None:  # of lit_dl, in words
        return str(error)
    if (full := full_disk(error)) is None:
        return f"cannot write the run folder: {error}\nChoose another one: hydra.run.dir=DIR"
    where = f": {full.filename}" if full.filename else ""
    return f"{full.strerror}{where}\nMake room and start again; a sweep goes on with sweep.resume=FOLDER"


def full_disk(error: BaseException | None) -> OSError | None:
    """The first error of a full disk among those that led to ``error``."""
    found = None
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            found = error
        error = error.__cause__ or error.__context__
    return found
