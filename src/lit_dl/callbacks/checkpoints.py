"""The two checkpoints of a run folder, and how they reach the disk."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lit_dl import records
from lit_dl.lightning_seams import is_mid_epoch, is_trial, load_checkpoint, save_if_best


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint whole or not at all, so that a killed run or a full disk leaves the one before.

    Lightning's own writes into the system's temporary folder and moves the file; between file systems that is a copy,
    which can stop half way.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``, making its folder, but not anew a run folder that has gone.

        Raises:
            OSError: if it cannot be written.
        """
        path = Path(path)
        path.parent.mkdir(exist_ok=True)
        content = BytesIO()
        torch.save(checkpoint, content)  # in memory: torch.save turns a full disk into an error that does not say so
        records.write_checkpoint(path, content.getbuffer())

    def load_checkpoint(self, path: str | Path, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint, whatever Lightning would take it for.

        Raises:
            OSError: if it cannot be read.
            ValueError: if it holds more than tensors and primitives.
        """
        return load_checkpoint(path)


class BestAndLast(ModelCheckpoint):
    """Keeps ``best.ckpt``, of the best value of a metric, and ``last.ckpt``, of the end of the last epoch.

    Neither is replaced by parameters or a metric that are not finite. The best is looked for at the end of an epoch, so
    that a run can go on from either, and after each validation in the middle of one.

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
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.last = records.last_checkpoint(folder)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, also where the run folder has been moved, or is a stranger's.

        What was the best is deleted when a better one is found, so that no path but our own may come in.
        """
        best = str(Path(str(self.dirpath)) / f"{records.BEST}.ckpt")
        scores = list(state_dict["best_k_models"].values())[:1]
        own: dict[str, Any] = dict.fromkeys(("best_model_path", "kth_best_model_path"), best if scores else "")
        models = dict(zip([best], scores, strict=False))  # of none, or of one
        own |= {"last_model_path": "", "dirpath": self.dirpath, "best_k_models": models}
        super().load_state_dict({**state_dict, **own})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state as the best one, if it is; at the end of an epoch ``on_train_epoch_end`` does."""
        is_new = is_mid_epoch(trainer) and not str(self.monitor).startswith("train")
        if is_new and not is_trial(trainer) and self._can_be_best(trainer, pl_module):
            save_if_best(self, trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state as the best one, if it is, and as the last one."""
        if self._can_be_best(trainer, pl_module):
            super().on_train_epoch_end(trainer, pl_module)
        if not is_trial(trainer) and _is_finite(pl_module):
            trainer.save_checkpoint(self.last)

    def _can_be_best(self, trainer: Trainer, pl_module: LightningModule) -> bool:
        """Whether what is watched has a value, and both it and the parameters are finite."""
        value = trainer.callback_metrics.get(str(self.monitor))
        return value is not None and bool(value.isfinite()) and _is_finite(pl_module)


def _is_finite(module: LightningModule) -> bool:
    """Whether all of its parameters and buffers are."""
    return all(bool(tensor.isfinite().all()) for tensor in (*module.parameters(), *module.buffers()))
