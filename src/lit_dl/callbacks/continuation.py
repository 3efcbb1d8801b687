"""What a run that was stopped and goes on needs beside the states of its parts."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from lit_dl.lightning_seams import is_fitting
from lit_dl.loggers import boards

EVENT_FILES = "events.out.tfevents.*"


class Continuation(Callback):
    """Lets a run go on as if it had not been stopped, and changes nothing before it has got further.

    Each checkpoint notes how long TensorBoard's event files are. A run that goes on cuts those of before to that
    length, so that no step stands there twice. It does so when it has its first checkpoint or its end to put in place
    of what was there; ``withdraw`` leaves everything as it was.

    A training that early stopping had ended is ended again; nothing else in a checkpoint says so.

    Args:
        folder: the run folder.
        goes_on: whether the run was stopped and goes on.
        take_over: called once, before anything of the earlier run is replaced.
    """

    def __init__(self, folder: Path, goes_on: bool, take_over: Callable[[], None]) -> None:
        self.folder = folder
        self._take_over = take_over
        self._earlier = list(folder.glob(EVENT_FILES))  # of the run before it was stopped
        self._lengths: dict[str, int] | None = None  # of those, by name, when the checkpoint was saved; None: unknown
        self.waits = goes_on  # whether everything is still as the earlier run left it

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember how long the event files were."""
        if is_fitting(trainer):
            self._lengths = checkpoint.get("event_files")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train no more if early stopping had ended the training."""
        stopping = trainer.early_stopping_callback
        if trainer.global_step > 0 and isinstance(stopping, EarlyStopping) and stopping.wait_count >= stopping.patience:
            trainer.should_stop = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """The run has got further: take over, and note how long the event files are."""
        if not trainer.is_global_zero:
            return
        self.take_over()
        for board in boards(trainer):
            board.experiment.flush()
        checkpoint["event_files"] = {path.name: path.stat().st_size for path in self.folder.glob(EVENT_FILES)}

    def take_over(self) -> None:
        """Put what is new in the place of what was there; once."""
        if not self.waits:
            return
        self.waits = False
        self._take_over()
        if (lengths := self._lengths) is None:
            return
        for path in self._earlier:
            with suppress(OSError):  # a system may keep a file that TensorBoard has open; then it shows steps twice
                if path.name not in lengths:
                    path.unlink()
                elif path.stat().st_size > lengths[path.name]:
                    os.truncate(path, lengths[path.name])

    def withdraw(self) -> None:
        """Leave the event files as they were."""
        for path in self.folder.glob(EVENT_FILES):
            if path not in self._earlier:
                with suppress(OSError):
                    path.unlink()
