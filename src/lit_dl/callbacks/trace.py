"""The progress of a descent: where the point is."""

import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from lit_dl.callbacks.progress import EpochProgress
from lit_dl.console import say

ROWS = 10  # in a training


class Trace(EpochProgress):
    """A bar of the training's steps, and a row of a table for each tenth of them.

    A row of step s, from 0 up, has the point after that step and f before it. A training without end gives a row each
    epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._every = 1  # steps from one row to the next
        self._row = -1  # the step of the last row

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar and the head of the table."""
        super().on_train_start(trainer, pl_module)
        steps = trainer.estimated_stepping_batches
        self._every = max(1, int(steps) // ROWS) if math.isfinite(steps) else int(trainer.num_training_batches)
        self._row = -1
        say(f"{'step':>9}{'x':>15}{'y':>15}{'f':>15}", style="dim")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Renew the bar; a row where one is due."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        step = trainer.global_step - 1
        if step % self._every == 0 and step != self._row:
            self._tell(step, pl_module)

    def _line(self, trainer: Trainer, epochs: int, is_last: bool = False) -> None:
        """No line for an epoch; a row for the last step."""
        if is_last and trainer.global_step - 1 != self._row:
            self._tell(trainer.global_step - 1, trainer.lightning_module)

    def _tell(self, step: int, pl_module: LightningModule) -> None:
        self._row = step
        x, y, f = (f"{value:.8g}" for value in pl_module.now())  # type: ignore[operator]  # it is a Descent
        say(f"{step:>9,}{x:>15}{y:>15}{f:>15}")
