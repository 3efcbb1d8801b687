"""The two checkpoints of a run folder."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lit_dl import records


class BestAndLast(ModelCheckpoint):
    """Keeps ``best.ckpt``, of the best value of a metric, and ``last.ckpt``, of the end of the last epoch.

    The best is looked for where its metric is new: ``val/*`` after each validation, ``train/*`` after each epoch. Both
    files are replaced atomically, so that a killed run leaves whole ones.

    Args:
        folder: the run folder.
        monitor: the metric.
        mode: whether the ``"min"`` or the ``"max"`` of it is best.
    """

    def __init__(self, folder: Path, monitor: str, mode: str) -> None:
        super().__init__(
            dirpath=folder / records.CHECKPOINTS,
            filename=records.BEST,
            monitor=monitor,
            mode=mode,
            save_on_train_epoch_end=monitor.startswith("train"),
            enable_version_counter=False,
        )
        self.last = records.last_checkpoint(folder)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state as the last one."""
        super().on_train_epoch_end(trainer, pl_module)
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # set where mypy does not look
            trainer.save_checkpoint(self.last)
