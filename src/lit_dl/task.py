"""What a step, a loss and a metric are."""

import inspect
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.functional.classification import multiclass_confusion_matrix

from lit_dl.curves import Curves
from lit_dl.loggers import is_logged_step, log_scalars

LENGTHS = ("total_steps", "T_max")  # by these names schedulers ask for the number of steps of the whole training


class Classifier(LightningModule):
    """A network that learns to tell classes apart.

    The objective is loss + l1 * sum |w| over the weights (parameters of two or more dimensions). The metrics are the
    loss without the penalty, and the accuracy: the share of samples whose largest logit is the label's. Both are means
    over samples: ``train/*`` over the batches as training saw them (dropout on, parameters moving), ``val/*`` and
    ``test/*`` over the whole part.

    They are summed on the device. The sums of training are read at every logged step, which gives loggers the mean
    over the steps since the one logged before, and at the end of the epoch, which gives callbacks the mean over it.

    Args:
        network: (B, *in_shape) to logits (B, num_classes).
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the learning-rate scheduler from the optimizer.
        loss: (logits (B, num_classes), labels (B,)) to the mean loss of a batch; None is cross-entropy.
        l1: weight of the L1 penalty, 0 or more.
        stops_when_diverged: stop training where a loss is read that is not finite, at the next logged step.

    Raises:
        ValueError: for an ``l1`` out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., Any] | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        l1: float = 0.0,
        stops_when_diverged: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= l1 < math.inf:
            raise ValueError(f"l1 is {l1!r}; it must be a number from 0 up")
        self.network = network
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.loss = nn.CrossEntropyLoss() if loss is None else loss
        self.l1 = l1
        self.stops_when_diverged = stops_when_diverged
        self.metrics: dict[str, float] = {}  # the newest train/*, val/* and test/* over an epoch or a part
        self.reading: dict[str, float] = {}  # train/* as last logged, and lr
        self.curves = Curves()  # of train/* and val/*
        self.confusion: Tensor | None = None  # counts, (num_classes, num_classes), true class by predicted class
        self.diverged_at: int | None = None  # the step at which a loss was read that is not finite
        self.validated_at: int | None = None  # the step of the last validation while training
        self.samples_seen = 0  # by training, on all devices, also before it was resumed
        self._sums = Sums()  # on the device: of training, validation or test, whichever runs
        self._since_logged = np.zeros(3)  # what was read of training since a step was logged
        self._since_epoch = np.zeros(3)  # and since the epoch began
        self._logged_at = 0  # the step that was logged last
        self._seconds = 0.0  # of training before it was resumed
        self._begun: float | None = None  # when it began or was resumed, by time.perf_counter
        self._ended: float | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning stores the name of the current hook 44 times a step, and each time nn.Module looks whether it is a
        # parameter, buffer or submodule. A string is none, and nor is a None that replaces an ordinary attribute.
        if isinstance(value, str) or (value is None and name in self.__dict__):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, (B, num_classes)."""
        return self.network(inputs)

    def configure_optimizers(self) -> Any:
        """The optimizer, with its scheduler if there is one.

        Raises:
            ValueError: if the scheduler needs the length of a training that has no end.
        """
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        scheduler, interval = make_scheduler(self.scheduler, optimizer, self.trainer.estimated_stepping_batches)
        plan = {"scheduler": scheduler, "interval": interval, "monitor": "val/loss", "strict": False}
        return {"optimizer": optimizer, "lr_scheduler": plan}

    def seconds(self) -> float:
        """Seconds of training, validation included, also of that before it was resumed; 0 before it begins."""
        if self._begun is None:
            return self._seconds
        return self._seconds + (self._ended or time.perf_counter()) - self._begun

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_train_end(self) -> None:
        """Stop the clock."""
        self._ended = time.perf_counter()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The objective of a batch."""
        loss, _ = self._loss(batch)
        if self.l1 > 0:
            loss = loss + self.l1 * sum(p.abs().sum() for p in self.parameters() if p.dim() >= 2)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the means since the step logged before, at logged steps."""
        step = self.trainer.global_step
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set where mypy does not look
        if step == self._logged_at or not is_logged_step(every, step):
            return
        self._logged_at = step
        self._read_training()
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.reading = {**_means("train", self._since_logged), "lr": float(lr)}
        self._since_logged = np.zeros(3)
        self._to_loggers(self.reading)

    def on_train_epoch_end(self) -> None:
        """Publish the means over the epoch to callbacks; loggers have them in finer steps."""
        self._read_training()
        self._publish("train", self._since_epoch)
        self._add_to_curves(self.trainer.current_epoch + 1.0, _means("train", self._since_epoch))
        self._since_epoch = np.zeros(3)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums."""
        self._loss(batch)

    def on_validation_epoch_start(self) -> None:
        """Keep what training has summed apart from what validation will."""
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self._read_training()

    def on_validation_epoch_end(self) -> None:
        """Publish the means over the validation part."""
        total = self._take()
        self._publish("val", total)
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self.validated_at = self.trainer.global_step
            self._to_loggers(_means("val", total))
            part = (self.trainer.fit_loop.batch_idx + 1) / self.trainer.num_training_batches
            self._add_to_curves(self.trainer.current_epoch + part, _means("val", total))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums and to the confusion matrix."""
        _, logits = self._loss(batch)
        counts = multiclass_confusion_matrix(logits, batch[1], logits.shape[1], validate_args=False)
        self.confusion = counts if self.confusion is None else self.confusion + counts

    def on_test_epoch_start(self) -> None:
        """Begin a new confusion matrix."""
        self.confusion = None

    def on_test_epoch_end(self) -> None:
        """Publish the means over the test set."""
        total = self._take()
        self._publish("test", total)
        self._to_loggers(_means("test", total))
        if self.confusion is not None:
            self.confusion = self.trainer.strategy.reduce(self.confusion, reduce_op="sum").cpu()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs to go on as if it had not been stopped."""
        checkpoint["metrics"] = dict(self.metrics)
        checkpoint["curves"] = self.curves.state()
        checkpoint["effort"] = {"seconds": self.seconds(), "samples_seen": self.samples_seen}
        checkpoint["random"] = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from where the checkpoint was, when training does; a test of other parameters changes nothing else."""
        if self.trainer.state.fn != "fit":
            return
        self.metrics = dict(checkpoint["metrics"])
        self.curves.load(checkpoint["curves"])
        self._seconds, self.samples_seen = checkpoint["effort"]["seconds"], checkpoint["effort"]["samples_seen"]
        torch.set_rng_state(checkpoint["random"]["cpu"].cpu())
        if len(checkpoint["random"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in checkpoint["random"]["cuda"]])

    def _loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        inputs, labels = batch
        logits = self(inputs)
        loss = self.loss(logits, labels)
        self._sums.add(loss, logits, labels)
        return loss, logits

    def _take(self) -> np.ndarray:
        """What the sums hold, over all devices: loss, correct answers, samples. One transfer."""
        return self.trainer.strategy.reduce(self._sums.take(self.device), reduce_op="sum").cpu().numpy()

    def _read_training(self) -> None:
        total = self._take()
        self._since_logged += total
        self._since_epoch += total
        self.samples_seen += int(total[2])
        if not math.isfinite(total[0]) and self.diverged_at is None:
            self.diverged_at = self.trainer.global_step
            self.trainer.should_stop = self.trainer.should_stop or self.stops_when_diverged

    def _publish(self, part: str, total: np.ndarray) -> None:
        values = _means(part, total)
        self.metrics.update(values)
        self.log_dict(values, logger=False, on_step=False, on_epoch=True, batch_size=1)

    def _add_to_curves(self, epoch: float, values: dict[str, float]) -> None:
        self.curves.add(self.trainer.global_step, epoch, self.seconds(), values)

    def _to_loggers(self, values: dict[str, float]) -> None:
        log_scalars(self.trainer, values, self.trainer.global_step)


def _means(part: str, total: np.ndarray) -> dict[str, float]:
    loss, correct, count = total.tolist()
    return {f"{part}/loss": loss / count, f"{part}/acc": correct / count} if count else {}


def make_scheduler(recipe: Callable[..., Any], optimizer: Optimizer, steps: float) -> tuple[Any, str]:
    """A learning-rate scheduler, and whether it advances every ``"step"`` or every ``"epoch"``.

    One that asks for the length of the training (OneCycleLR, CosineAnnealingLR) gets it in steps and advances at every
    step, any other after every epoch.

    Args:
        recipe: makes the scheduler from the optimizer.
        steps: of the optimizer in the whole training; infinite for one without end.

    Raises:
        ValueError: if the scheduler needs the length of a training without end.
    """
    lengths = [name for name in LENGTHS if name in inspect.signature(recipe).parameters]
    if lengths and not math.isfinite(steps):
        raise ValueError("this schedule needs the length of the training; set trainer.max_epochs or trainer.max_steps")
    return recipe(optimizer, **{name: int(steps) for name in lengths}), "step" if lengths else "epoch"


class Sums:
    """Sum of losses, number of correct answers and number of samples, on the device until taken.

    Batches are kept and added up many at a time: a few operations on fifty batches instead of nine on each.
    """

    KEPT = 50  # batches; their logits are all that is held

    def __init__(self) -> None:
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []  # not yet added up
        self._total: Tensor | None = None  # (2,) float32: loss, correct
        self._count = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: its mean loss (), logits (B, C), labels (B,). Waits for no device."""
        self._batches.append((loss.detach(), logits.detach(), labels))
        self._count += len(labels)
        if len(self._batches) == self.KEPT:
            self._add_up()

    def take(self, device: torch.device) -> Tensor:
        """(3,) float64 (float32 where the device has none): loss, correct, count; the sums begin anew."""
        if self._batches:
            self._add_up()
        dtype = torch.float32 if device.type == "mps" else torch.float64
        total = torch.tensor([0.0, 0.0, self._count], dtype=dtype, device=device)
        if self._total is not None:
            total[:2] = self._total
        self._total, self._count = None, 0
        return total

    def _add_up(self) -> None:
        losses, logits, labels = zip(*self._batches, strict=True)
        sizes = torch.tensor([len(batch) for batch in labels], device=losses[0].device)
        correct = (torch.cat(logits).argmax(dim=1) == torch.cat(labels)).sum()
        total = torch.stack([(torch.stack(losses).float() * sizes).sum(), correct])
        self._total = total if self._total is None else self._total + total
        self._batches = []
