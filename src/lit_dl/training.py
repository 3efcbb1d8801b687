"""What every training has: an optimizer, a clock, curves, and a state to go on from."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.optim import Optimizer

from lit_dl.curves import Curves
from lit_dl.loggers import is_logged_step
from lit_dl.schedule import make_scheduler


class Training(LightningModule):
    """The part of a LightningModule that does not depend on what is trained.

    Args:
        network: what is trained.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the learning-rate scheduler from the optimizer.
        stops_when_diverged: stop training where a loss is read that is not finite, at the next logged step.
    """

    plateau: str  # the loss that is watched: by a scheduler that waits for a plateau, and for the best parameters
    metric_names: Sequence[str]  # of training and validation

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., Any] | None = None,
        stops_when_diverged: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.stops_when_diverged = stops_when_diverged
        self.metrics: dict[str, float] = {}  # the newest train/*, val/* and test/* over an epoch or a part
        self.reading: dict[str, float] = {}  # train/* as last logged, and lr
        self.curves = Curves()  # of train/* and val/*
        self.diverged_at: int | None = None  # the step at which a loss was read that is not finite
        self.validated_at: int | None = None  # the step of the last validation while training
        self.samples_seen = 0  # by training, on all devices, also before it was resumed
        self.lr = 0.0  # of the newest step, of the first group of parameters
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

    def configure_optimizers(self) -> Any:
        """The optimizer, with its scheduler if there is one.

        Raises:
            ValueError: if the scheduler needs the length of a training that has no end.
        """
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        scheduler, interval = make_scheduler(self.scheduler, optimizer, self.trainer.estimated_stepping_batches)
        plan = {"scheduler": scheduler, "interval": interval, "monitor": self.plateau, "strict": False}
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

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Keep the rate of this step: when it is logged, a scheduler has set that of the next."""
        self.lr = float(optimizer.param_groups[0]["lr"])

    def is_to_log(self) -> bool:
        """Whether the newest step is one that is logged; once for each."""
        step, every = self.trainer.global_step, self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # it is
        if step == self._logged_at or not is_logged_step(every, step):
            return False
        self._logged_at = step
        return True

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
        _complete_epoch(checkpoint["loops"]["fit_loop"])
        self.metrics = dict(checkpoint["metrics"])
        self.curves.load(checkpoint["curves"])
        self._seconds, self.samples_seen = checkpoint["effort"]["seconds"], checkpoint["effort"]["samples_seen"]
        torch.set_rng_state(checkpoint["random"]["cpu"].cpu())
        if len(checkpoint["random"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in checkpoint["random"]["cuda"]])


def _complete_epoch(fit_loop: dict[str, Any]) -> None:
    """Count the epoch at whose end a checkpoint was saved as complete, in Lightning's state.

    Lightning does so only after the hook that saves, and with ``max_steps`` a resumed training would count it twice.
    """
    batches, epochs = fit_loop["epoch_loop.batch_progress"], fit_loop["epoch_progress"]
    if batches["is_last_batch"] and epochs["total"]["processed"] == epochs["total"]["started"]:
        batches["is_last_batch"] = False
        batches["current"] = dict.fromkeys(batches["current"], 0)
        for counts in epochs.values():
            counts["completed"] = counts["processed"]
