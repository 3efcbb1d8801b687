"""Commands in processes of their own that are killed at a moment of choice."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

# Children are forked from a process that has imported all this, so that a command takes a second and not six.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.kills", "lit_dl.train", "lightning.pytorch", "tensorboard", "sklearn.datasets"])


class Moments:
    """Counts the moments at which something is written or learnt, and sends this process a signal at one of them.

    Args:
        fatal: the number of the moment, from 1 up; 0 for none.
        number: of the signal.
        again: how many moments later it is sent once more; 0 for never.
    """

    def __init__(self, fatal: int, number: signal.Signals, again: int = 0) -> None:
        self.passed = 0
        self.fatal = {fatal, fatal + again if again else fatal}
        self.signal = number

    def __call__(self) -> None:
        self.passed += 1
        if self.passed in self.fatal:
            os.kill(os.getpid(), self.signal)

    def around(self, owner: Any, name: str) -> None:
        """Let a moment pass before and after each call."""
        original = getattr(owner, name)

        def called(*arguments: Any, **options: Any) -> Any:
            self()
            result = original(*arguments, **options)
            self()
            return result

        setattr(owner, name, called)

    def within_writes(self) -> None:
        """Let a moment pass in the middle of each file that is written whole."""

        def write_bytes(path: Path, content: Any) -> int:
            with path.open("wb") as file:
                file.write(content[: len(content) // 2])
                file.flush()
                self()
                return file.write(content[len(content) // 2 :])

        Path.write_bytes = write_bytes


def run(folder: Path, overrides: list[str], fatal: int = 0, number: Any = None, again: int = 0) -> tuple[int, int]:
    """Do a command in ``folder``; its exit code (negative: the signal that ended it), and how many moments passed."""
    passed = CONTEXT.Value("i", 0)
    number = number or getattr(signal, "SIGKILL", signal.SIGTERM)
    process = CONTEXT.Process(target=_command, args=(str(folder), overrides, fatal, number, again, passed))
    process.start()
    process.join(120)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{overrides} hung")
    return process.exitcode, passed.value


def _command(folder: str, overrides: list[str], fatal: int, number: signal.Signals, again: int, passed: Any) -> None:
    from lightning.pytorch.callbacks import EarlyStopping
    from matplotlib.figure import Figure
    from PIL.Image import Image
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    from lit_dl import train
    from lit_dl.data.base import InMemoryData
    from lit_dl.tasks.base import Task

    os.chdir(folder)
    out = os.open("out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    moments = Moments(fatal, number, again)
    places: list[tuple[Any, str]] = [
        (os, "replace"), (Figure, "savefig"), (Image, "save"), (EventFileWriter, "add_event"), (InMemoryData, "setup"),
        (Task, "on_before_optimizer_step"), (EarlyStopping, "_run_early_stopping_check"), (train, "test"),
    ]  # fmt: skip
    for owner, name in places:
        moments.around(owner, name)
    moments.within_writes()
    code = train.main(overrides)
    passed.value = moments.passed
    os._exit(code)
