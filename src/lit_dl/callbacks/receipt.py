"""What writes a run's receipt: its surroundings, and what its first steps gave."""

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_dl import records
from lit_dl.layers import Layer, layers_of
from lit_dl.lightning_seams import is_trial

STEPS = 10  # after which two trainings that differ have long parted
SECONDS = 0.5  # for checksums, at most: a net so large that ten steps would take more gets fewer, but one


class Receipt(Callback):
    """Writes ``receipt.json`` after the first step of a training, and again when the first few are made.

    Of each step it has the loss with every bit and a checksum of each layer's parameters after it. A run that is
    resumed keeps the file that it has, and adds the steps that are missing.

    Args:
        folder: of the run.
        record: with config, overrides and choices; the rest is filled in.
        data: tells name, sizes and checksum of what is trained on, once it is loaded.
        layers: of the network, in order of use; None takes those of the module as they are registered.
        steps: how many.
        seconds: for checksums, after which no further step is taken.
    """

    def __init__(
        self,
        folder: Path,
        record: records.ReceiptRecord,
        data: Callable[[], Mapping[str, Any]],
        layers: list[Layer] | None = None,
        steps: int = STEPS,
        seconds: float = SECONDS,
    ) -> None:
        self.folder = folder
        self.record = record
        self.steps = steps
        self.seconds = seconds
        self._data = data
        self._given = layers
        self._is_open = False  # whether steps are being recorded
        self._losses: list[Tensor] = []  # of the coming step
        self._layers: list[Layer] = []  # known when training starts
        self._taken = 0.0  # seconds that checksums took
        self._earlier: list[records.StepReceipt] = []  # of a run that goes on, up to its checkpoint

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look where a new training starts, or where one goes on whose first steps are not all there."""
        earlier = self._earlier if trainer.global_step > 0 else []
        is_early = trainer.global_step == len(earlier)
        self._is_open = trainer.is_global_zero and is_early and not is_trial(trainer)
        if not self._is_open:
            return
        self._losses, self._taken, self.record.steps = [], 0.0, earlier
        self._layers = layers_of(pl_module) if self._given is None else self._given
        if earlier:
            with suppress(
                OSError, ValueError
            ):  # it is gone or damaged: the surroundings of now stand for those of then
                self.record = replace(records.read_receipt(self.folder), steps=earlier)
                return
        self.record.data = dict(self._data())
        self.record.environment = records.describe_environment(str(trainer.strategy.root_device))
        self.record.threads, self.record.processes = torch.get_num_threads(), trainer.world_size

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep the loss, on its device."""
        if self._is_open:
            self._losses.append(loss.detach())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the checksums, if that was the last batch of a step."""
        if not self._is_open or trainer.global_step == len(self.record.steps):
            return
        begun = time.perf_counter()
        layers = {layer.name: checksum(layer) for layer in self._layers}
        self.record.steps.append(records.StepReceipt([float(loss).hex() for loss in self._losses], layers))
        self._losses = []
        self._taken += time.perf_counter() - begun
        if len(self.record.steps) >= self.steps or self._taken > self.seconds:
            self._close()
        elif len(self.record.steps) == 1:  # what a run has to show that is killed soon
            records.write_receipt(self.record, self.folder)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the steps there were, if they were fewer."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the steps there were, unless that is what cannot be done."""
        with suppress(OSError):
            self._close()

    def state_dict(self) -> dict[str, Any]:
        """The steps so far, while there are some to come."""
        return {"steps": [asdict(step) for step in self.record.steps]} if self._is_open else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave, once training does."""
        self._earlier = [records.StepReceipt(**step) for step in state_dict["steps"]]

    def _close(self) -> None:
        """Write the file, if there is anything to write, and take no further step."""
        was_open, self._is_open = self._is_open, False
        if was_open and self.record.steps:
            records.write_receipt(self.record, self.folder)


def checksum(layer: Layer) -> str:
    """SHA-256 of the bytes of a layer's parameters, of any precision, in their order."""
    digest = hashlib.sha256()
    for parameter in layer.parameters:
        whole = parameter.detach().cpu().contiguous()
        digest.update(whole.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
