"""The two checkpoints of a run folder, and how they reach the disk."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from lit_dl import records


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint whole or not at all, so that a killed run or a full disk leaves the one before.

    Lightning's own writes into the system's temporary folder and moves the file; between file systems that is a copy,
    which can stop half way.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``, making its folder.

        Raises:
            OSError: if it cannot be written.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = BytesIO()
        torch.save(checkpoint, content)  # in memory: torch.save turns a full disk into an error that does not say so
        with records.replacing(path) as part:
            part.write_bytes(content.getbuffer())


class BestAndLast(ModelCheckpoint):
    """Keeps ``best.ckpt``, of the best value of a metric, and ``last.ckpt``, of the end of the last epoch.

    Neither is replaced by parameters or a metric that are not finite. The best is looked for where its metric is new:
    ``val/*`` after each validation, ``train/*`` after each epoch.

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
        # fast_dev_run is set where mypy does not look
        if not trainer.fast_dev_run and _is_finite(pl_module):  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.last)

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Whether the metric is the best so far; one that is not finite never is."""
        return current is not None and bool(current.isfinite()) and super().check_monitor_top_k(trainer, current)


def _is_finite(module: LightningModule) -> bool:
    """Whether all that a checkpoint would hold of the module is."""
    return all(bool(tensor.isfinite().all()) for tensor in (*module.parameters(), *module.buffers()))
