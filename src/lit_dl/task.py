"""What a step, a loss and a metric are."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.functional.classification import multiclass_confusion_matrix

from lit_dl.loggers import log_scalars
from lit_dl.losses import BinaryCrossEntropy, SquaredError, classes_of
from lit_dl.sums import Sums
from lit_dl.training import Training


class Task(Training, ABC):
    """A network that learns from samples with known targets: what classification and regression share.

    The objective is loss + l1 * sum |w| over the weights (parameters of two or more dimensions). The metrics are the
    loss without the penalty, and the ``scores`` that a subclass names, all over samples: ``train/*`` over the batches
    as training saw them (dropout on, parameters moving), ``val/*`` and ``test/*`` over the whole part; a validation on
    other samples is published under the name that ``validates`` has been given.

    They are summed on the device. The sums of training are read at every logged step, which gives loggers the mean
    over the steps since the one logged before, and at the end of the epoch, which gives callbacks the mean over it.

    Args:
        network: (B, *in_shape) to outputs.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the learning-rate scheduler from the optimizer.
        loss: (outputs, targets) of a batch to their mean loss; None is the subclass's usual one.
        l1: weight of the L1 penalty, 0 or more.
        stops_when_diverged: stop training where a loss is read that is not finite, at the next logged step.
        width: number of the sums that ``totals`` gives.

    Raises:
        ValueError: for an ``l1`` out of its range.
    """

    plateau = "val/loss"
    scores: tuple[str, ...]  # metrics beside the loss

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., Any] | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        l1: float = 0.0,
        stops_when_diverged: bool = True,
        *,
        width: int,
    ) -> None:
        super().__init__(network, optimizer, scheduler, stops_when_diverged)
        if not 0 <= l1 < math.inf:
            raise ValueError(f"l1 is {l1!r}; it must be a number from 0 up")
        self.loss = self.usual_loss() if loss is None else loss
        self.l1 = l1
        self.metric_names = [f"{part}/{name}" for part in ("train", "val") for name in ("loss", *self.scores)]
        self.validates = "val"  # the part that validation is on
        self._sums = Sums(self.totals, width)  # on the device: of training, validation or test, whichever runs
        self._since_logged = np.zeros(2 + width)  # what was read of training since a step was logged
        self._since_epoch = np.zeros(2 + width)  # and since the epoch began

    @abstractmethod
    def usual_loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss that is taken where none is named."""

    @abstractmethod
    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Sums over samples from which the scores come, (width,), on the device."""

    @abstractmethod
    def scores_of(self, totals: np.ndarray, count: float) -> dict[str, float]:
        """The scores by name, from the sums over ``count`` samples; without those that are not defined for them."""

    def forward(self, inputs: Tensor) -> Tensor:
        """What the network gives for a batch."""
        return self.network(inputs)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The objective of a batch."""
        loss, _ = self._loss(batch)
        if self.l1 > 0:
            loss = loss + self.l1 * sum(p.abs().sum() for p in self.parameters() if p.dim() >= 2)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the means since the step logged before, at logged steps."""
        if not self.is_to_log():
            return
        self._read_training()
        self.reading = {**self._means("train", self._since_logged), "lr": self.lr}
        self._since_logged = np.zeros_like(self._since_logged)
        self._to_loggers(self.reading)

    def on_train_epoch_end(self) -> None:
        """Publish the means over the epoch to callbacks; loggers have them in finer steps."""
        self._read_training()
        self._publish("train", self._since_epoch)
        self._add_to_curves(self.trainer.current_epoch + 1.0, self._means("train", self._since_epoch))
        self._since_epoch = np.zeros_like(self._since_epoch)

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
        self._publish(self.validates, total)
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self.validated_at = self.trainer.global_step
            self._to_loggers(self._means("val", total))
            part = (self.trainer.fit_loop.batch_idx + 1) / self.trainer.num_training_batches
            self._add_to_curves(self.trainer.current_epoch + part, self._means("val", total))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums."""
        self._loss(batch)

    def on_test_epoch_end(self) -> None:
        """Publish the means over the test set."""
        total = self._take()
        self._publish("test", total)
        self._to_loggers(self._means("test", total))

    def _loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.loss(outputs, targets)
        self._sums.add(loss, outputs, targets)
        return loss, outputs

    def _take(self) -> np.ndarray:
        """What the sums hold, over all devices: loss, samples, further sums. One transfer."""
        return self.trainer.strategy.reduce(self._sums.take(self.device), reduce_op="sum").cpu().numpy()

    def _read_training(self) -> None:
        total = self._take()
        self._since_logged += total
        self._since_epoch += total
        self.samples_seen += int(total[1])
        if not math.isfinite(total[0]) and self.diverged_at is None:
            self.diverged_at = self.trainer.global_step
            self.trainer.should_stop = self.trainer.should_stop or self.stops_when_diverged

    def _publish(self, part: str, total: np.ndarray) -> None:
        values = self._means(part, total)
        self.metrics.update(values)
        self.log_dict(values, logger=False, on_step=False, on_epoch=True, batch_size=1)

    def _add_to_curves(self, epoch: float, values: dict[str, float]) -> None:
        self.curves.add(self.trainer.global_step, epoch, self.seconds(), values)

    def _to_loggers(self, values: dict[str, float]) -> None:
        log_scalars(self.trainer, values, self.trainer.global_step)

    def _means(self, part: str, total: np.ndarray) -> dict[str, float]:
        loss, count = total[:2].tolist()
        if not count:
            return {}
        values = {"loss": loss / count, **self.scores_of(total[2:], count)}
        return {f"{part}/{name}": value for name, value in values.items()}


class Classifier(Task):
    """A network that learns to tell classes apart.

    The score is the accuracy: the share of samples whose class is right. The class is that of the largest output or,
    of a network with one output, 1 where that is above the loss's threshold.

    Takes the arguments of ``Task``; the network gives (B, num_classes), or (B, 1) for two classes, and the loss takes
    labels, (B,) int64. The usual one is cross-entropy.
    """

    scores = ("acc",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, width=1, **options)
        self.confusion: Tensor | None = None  # counts, (num_classes, num_classes), true class by predicted class

    def usual_loss(self) -> nn.Module:
        """Cross-entropy."""
        return nn.CrossEntropyLoss()

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The number of samples whose class is right."""
        return (self._classes(outputs) == targets).sum().reshape(1)

    def scores_of(self, totals: np.ndarray, count: float) -> dict[str, float]:
        """The accuracy."""
        return {"acc": totals.item() / count}

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add a batch to the sums and to the confusion matrix."""
        _, outputs = self._loss(batch)
        classes = max(outputs.shape[1], 2)
        counts = multiclass_confusion_matrix(self._classes(outputs), batch[1], classes, validate_args=False)
        self.confusion = counts if self.confusion is None else self.confusion + counts

    def on_test_epoch_start(self) -> None:
        """Begin a new confusion matrix."""
        self.confusion = None

    def on_test_epoch_end(self) -> None:
        """Publish the means over the test set."""
        super().on_test_epoch_end()
        if self.confusion is not None:
            self.confusion = self.trainer.strategy.reduce(self.confusion, reduce_op="sum").cpu()

    def _classes(self, outputs: Tensor) -> Tensor:
        return classes_of(outputs, getattr(self.loss, "threshold", 0.0))


class Regressor(Task):
    """A network that learns to predict numbers.

    The scores are the mean absolute error, MAE, over samples and targets, and the coefficient of determination,
    R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2 of each target, averaged over them, as scikit-learn's ``r2_score``
    has it: 1 is perfect, 0 is no better than the mean. Where a target is constant there is none.

    Takes the arguments of ``Task``; the network gives (B, num_targets), the loss takes targets of that shape. The usual
    one is the squared error.

    Args:
        num_targets: numbers to predict for each sample.

    Raises:
        ValueError: for a loss, or a link of one, that is for classes.
    """

    scores = ("mae", "r2")

    def __init__(self, *arguments: Any, num_targets: int, **options: Any) -> None:
        super().__init__(*arguments, width=1 + 3 * num_targets, **options)
        if isinstance(self.loss, nn.CrossEntropyLoss | BinaryCrossEntropy):
            raise ValueError(f"{type(self.loss).__name__} is for classes, but this data set has numbers. Take loss=mse")
        if (link := getattr(self.loss, "link", None)) is not None:
            raise ValueError(f"link is {link!r}, which is for classes, but this data set has numbers")

    def usual_loss(self) -> nn.Module:
        """Squared error."""
        return SquaredError()

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Sum of absolute errors, then for each target the sums of squared errors, of y and of y^2."""
        exact = torch.float32 if outputs.device.type == "mps" else torch.float64  # y^2 - (sum y)^2 / n cancels
        errors, values = outputs.to(exact) - targets, targets.to(exact)
        of_each = [errors.square().sum(0), values.sum(0), values.square().sum(0)]
        return torch.cat([errors.abs().sum().reshape(1), *of_each])

    def scores_of(self, totals: np.ndarray, count: float) -> dict[str, float]:
        """MAE and R^2."""
        squared_errors, values, squares = totals[1:].reshape(3, -1)
        scores = {"mae": totals[0].item() / (count * len(values))}
        variation = squares - values**2 / count
        if (variation > 1e-12 * squares).all():  # less is rounding
            scores["r2"] = float(np.mean(1 - squared_errors / variation))
        return scores
