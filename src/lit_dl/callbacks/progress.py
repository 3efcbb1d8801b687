"""The progress bar."""

import math
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lit_dl.console import console, decimals, say
from lit_dl.metrics import brief

REFRESH_SECONDS = 0.1
LINES = 20  # epochs that leave a line behind, at most


class EpochProgress(Callback):
    """A bar of the training's steps with loss and scores, and a line for each epoch (or each k-th, when many).

    It shows what the module has read at logged steps (``logged``) and published (``metrics``), so it makes no
    transfer of its own. Without a terminal only the lines are printed.
    """

    def __init__(self) -> None:
        self.bar: Progress | None = None  # while training on a terminal
        self.task = TaskID(0)
        self._drawn = 0.0  # when the bar was renewed last
        self._started = 0  # epochs begun since training started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._started = 0
        if not trainer.is_global_zero or not console.is_terminal:
            return
        text = TextColumn("{task.description}")
        columns = (
            text,
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
        )
        self.bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
        self.task = self.bar.add_task("training", total=_total_steps(trainer), now="")
        self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Renew the bar, a few times a second."""
        if self.bar is None or time.monotonic() - self._drawn < REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        logged: dict[str, float] = getattr(pl_module, "logged", {})
        now = _part(logged, "train") if logged else ""
        description = f"epoch {_of(trainer.current_epoch + 1, trainer)}"
        self.bar.update(self.task, completed=trainer.global_step, description=description, now=now)
        self.bar.refresh()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave a line with the metrics of the epoch before, which are published at its very end."""
        if self._started > 0:
            self._line(trainer, trainer.current_epoch)
        self._started += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away, and leave the last line."""
        self._stop()
        self._line(trainer, trainer.current_epoch, is_last=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        self._stop()

    def _line(self, trainer: Trainer, epochs: int, is_last: bool = False) -> None:
        every = math.ceil(max(trainer.max_epochs or 1, 1) / LINES)
        if not trainer.is_global_zero or not (is_last or epochs % every == 0):
            return
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        parts = [_part(values, part) for part in ("train", "val") if f"{part}/loss" in values]
        say(f"epoch {_of(epochs, trainer)}   {'   '.join(parts)}")

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _of(epoch: int, trainer: Trainer) -> str:
    """The epoch among those planned, if their number is set."""
    planned = trainer.max_epochs
    return f"{epoch:>{len(str(planned))}}/{planned}" if planned is not None and planned > 0 else f"{epoch}"


def _part(values: dict[str, float], part: str) -> str:
    """Its metrics by name, those for which there is room: train loss 0.1234 acc 0.9876."""
    shown = brief([name for name in values if name.startswith(f"{part}/")])
    own = {name.partition("/")[2]: values[name] for name in shown}
    return " ".join([part, *(f"{name} {decimals(value)}" for name, value in own.items())])


def _total_steps(trainer: Trainer) -> float | None:
    steps = trainer.estimated_stepping_batches
    return steps if math.isfinite(steps) else None
