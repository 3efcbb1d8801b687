"""Learning from samples with known targets: classification and regression."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.functional.classification import multiclass_confusion_matrix

from lit_dl.errors import check_number
from lit_dl.lightning_seams import is_fitting, log_every
from lit_dl.loggers import is_logged_step, log_scalars
from lit_dl.metrics import LOSS, PARTS, metrics_of
from lit_dl.tasks.base import Task
from lit_dl.tasks.losses import SquaredError, check_for_numbers, classes_of, threshold_of
from lit_dl.tasks.sums import Sums

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) of a batch to their mean loss, ()."""

VALIDATED = ("val", "train_eval")  # the parts of validation's first and second loader


class SupervisedTask(Task, ABC):
    """A network that learns from samples with known targets: what classification and regression share.

    The objective is loss + l1 * sum |w| over the weights (parameters of two or more dimensions). The metrics are the
    loss without the penalty, and those that ``lit_dl.metrics`` has for such targets, all over samples: ``train/*`` over
    the batches as training saw them (dropout on, parameters moving), ``val/*`` and ``test/*`` over the whole part; a
    second loader of a validation is the training part, evaluated like the others, ``train_eval/*``.

    They are summed on the device, each part by itself. The sums of training are read at every logged step, which gives
    loggers the mean over the steps since the one logged before, and at the end of the epoch, which gives callbacks the
    mean over it.

    Args:
        network: (B, *in_shape) to outputs.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the learning-rate scheduler from the optimizer.
        loss: (outputs, targets) of a batch to their mean loss; None is the subclass's usual one.
        l1: weight of the L1 penalty, 0 or more.
        stops_when_diverged: stop training where a loss is read that is not finite, at the next logged step.

    Raises:
        ValueError: for an ``l1`` out of its range.
    """

    watched_loss = "val/loss"
    learns: Literal["classes", "numbers"]

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., Any] | None = None,
        loss: Loss | None = None,
        l1: float = 0.0,
        stops_when_diverged: bool = True,
    ) -> None:
        super().__init__(network, optimizer, scheduler, stops_when_diverged)
        check_number("l1", l1, least=0)
        self.loss = self.accepted(self.usual_loss() if loss is None else loss)
        self.l1 = l1
        names = [LOSS, *(metric.name for metric in metrics_of(self.learns))]
        self.metric_names = [f"{part}/{name}" for part in PARTS for name in names]
        self._sums = {part: Sums(metrics_of(self.learns), self.answers) for part in ("train", *VALIDATED, "test")}
        self._since_epoch: np.ndarray | float = 0.0  # read of training's sums since the epoch began
        self._batches = 0  # of this epoch, that training has seen

    @abstractmethod
    def usual_loss(self) -> Loss:
        """The loss that is taken where none is named."""

    def accepted(self, loss: Loss) -> Loss:
        """The loss, if it goes with such targets.

        Raises:
            ValueError: if not.
        """
        return loss

    @abstractmethod
    def answers(self, outputs: Tensor) -> Tensor:
        """What the outputs (B, C) stand for: classes, (B,) int64, or numbers, (B, C) in double precision."""

    def forward(self, inputs: Tensor) -> Tensor:
        """What the network gives for a batch."""
        return self.network(inputs)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The objective of a batch."""
        self._batches = batch_idx + 1
        loss, _ = self._add("train", batch)
        if self.l1 > 0:
            loss = loss + self.l1 * sum(p.abs().sum() for p in self.parameters() if p.dim() >= 2)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the means since the step logged before, at logged steps."""
        step = self.trainer.global_step
        if step == self._logged_at or not is_logged_step(log_every(self.trainer), step):
            return
        self._logged_at = step
        self._read_training()
        self.logged = {**self._means("train", self._since_logged), "lr": self.lr}
        self._since_logged = 0.0
        log_scalars(self.trainer, self.logged, step)

    def on_train_epoch_end(self) -> None:
        """Publish the means over the epoch to callbacks; loggers have them in finer steps."""
        self._read_training()
        values = self._means("train", self._since_epoch)
        self._publish(values)
        self._add_to_curves(self.trainer.current_epoch + 1.0, values)
        self._since_epoch = 0.0

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Add a batch to the sums of its part."""
        self._add(VALIDATED[dataloader_idx], batch)

    def on_validation_epoch_end(self) -> None:
        """Publish the means over each part that was passed."""
        for part in VALIDATED:
            values = self._means(part, self._take(part))
            self._publish(values)
            if values and is_fitting(self.trainer):
                log_scalars(self.trainer, values, self.trainer.global_step)
                epoch = self.trainer.current_epoch + self._batches / self.trainer.num_training_batches
                self._add_to_curves(epoch, values)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums."""
        self._add("test", batch)

    def on_test_epoch_end(self) -> None:
        """Publish the means over the test set."""
        values = self._means("test", self._take("test"))
        self._publish(values)
        log_scalars(self.trainer, values, self.trainer.global_step)

    def _add(self, part: str, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.loss(outputs, targets)
        self._sums[part].add(loss, outputs, targets)
        return loss, outputs

    def _take(self, part: str) -> np.ndarray | float:
        """What the sums hold, over all devices: loss, samples, the metrics' sums; 0 for none. One transfer."""
        total = self._sums[part].take()
        return 0.0 if total is None else self.trainer.strategy.reduce(total, reduce_op="sum").cpu().numpy()

    def _read_training(self) -> None:
        total = self._take("train")
        if isinstance(total, float):
            return
        self._since_logged = self._since_logged + total
        self._since_epoch = self._since_epoch + total
        self.samples_seen += int(total[1])
        self.see_loss(total[0])

    def _publish(self, values: dict[str, float]) -> None:
        self.metrics.update(values)
        self.log_dict(values, logger=False, on_step=False, on_epoch=True, batch_size=1)

    def _add_to_curves(self, epoch: float, values: dict[str, float]) -> None:
        if values:
            self.curves.add(self.trainer.global_step, epoch, self.seconds(), values)

    def _means(self, part: str, total: np.ndarray | float) -> dict[str, float]:
        if isinstance(total, float):
            return {}
        return {f"{part}/{name}": value for name, value in self._sums[part].means(total).items()}


class Classifier(SupervisedTask):
    """A network that learns to tell classes apart.

    The class is that of the largest output or, of a network with one output, 1 where that is above the loss's
    threshold. The network gives (B, num_classes), or (B, 1) for two classes, and the loss takes labels, (B,) int64; the
    usual one is cross-entropy. Arguments and errors are those of ``SupervisedTask``.
    """

    learns = "classes"
    confusion: Tensor | None = None  # counts, (num_classes, num_classes), true class by predicted class; after a test

    @property
    def threshold(self) -> float:
        """Above which a single output says class 1."""
        return threshold_of(self.loss)

    def usual_loss(self) -> nn.Module:
        """Cross-entropy."""
        return nn.CrossEntropyLoss()

    def answers(self, outputs: Tensor) -> Tensor:
        """Classes, (B,) int64."""
        return classes_of(outputs, self.threshold)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums and to the confusion matrix."""
        _, outputs = self._add("test", batch)
        classes = max(outputs.shape[1], 2)
        counts = multiclass_confusion_matrix(self.answers(outputs), batch[1], classes, validate_args=False)
        self.confusion = counts if self.confusion is None else self.confusion + counts

    def on_test_epoch_start(self) -> None:
        """Begin a new confusion matrix."""
        self.confusion = None

    def on_test_epoch_end(self) -> None:
        """Publish the means over the test set."""
        super().on_test_epoch_end()
        if self.confusion is not None:
            self.confusion = self.trainer.strategy.reduce(self.confusion, reduce_op="sum").cpu()


class Regressor(SupervisedTask):
    """A network that learns to predict numbers.

    The network gives (B, T) for T targets, and the loss takes targets of that shape; the usual one is the squared
    error. Arguments are those of ``SupervisedTask``.

    Raises:
        ValueError: for a loss, or a link of one, that is for classes, or an ``l1`` out of its range.
    """

    learns = "numbers"

    def accepted(self, loss: Loss) -> Loss:
        """The loss, unless it is for classes."""
        check_for_numbers(loss)
        return loss

    def usual_loss(self) -> nn.Module:
        """Squared error."""
        return SquaredError()

    def answers(self, outputs: Tensor) -> Tensor:
        """The outputs in double precision, where the device has it."""
        return outputs.to(torch.float32 if outputs.device.type == "mps" else torch.float64)
