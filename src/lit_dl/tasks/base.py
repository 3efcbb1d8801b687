"""What every training has: an optimizer, a clock, curves, and a state to go on from."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.optim import Optimizer

from lit_dl.lightning_seams import QuickHookNames, complete_epoch, is_fitting
from lit_dl.optim.schedules import make_scheduler
from lit_dl.tasks.curves import Curves


class Task(QuickHookNames, LightningModule):
    """The part of a LightningModule that does not depend on what is trained.

    Args:
        network: what is trained.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the learning-rate scheduler from the optimizer.
        stops_when_diverged: stop training where a loss is read that is not finite, at the next logged step.
    """

    watched_loss: str  # by a scheduler that waits for a plateau, and for the best parameters
    metric_names: Sequence[str]  # of training and validation, such as val/acc

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
        self.logged: dict[str, float] = {}  # train/* as last logged, and lr
        self.curves = Curves()  # of train/* and val/*
        self.diverged_at: int | None = None  # the step at which a loss was read that is not finite
        self.samples_seen = 0  # by training, on all devices, also before it was resumed
        self.lr = 0.0  # of the newest step, of the first group of parameters
        self._logged_at = 0  # the step that was logged last; 0 is before the first
        self._since_logged: np.ndarray | float = 0.0  # sums of training that were read since
        self._seconds = 0.0  # of training before it was resumed
        self._begun: float | None = None  # when it began or was resumed, by time.perf_counter
        self._ended: float | None = None
        self._goes_on = False  # whether it was resumed at the end of an epoch, and has not begun to train yet

    def configure_optimizers(self) -> Any:
        """The optimizer, with its scheduler if there is one.

        Raises:
            ValueError: if the scheduler needs the length of a training that has no end.
        """
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        scheduler, interval = make_scheduler(self.scheduler, optimizer, self.trainer.estimated_stepping_batches)
        plan = {"scheduler": scheduler, "interval": interval, "monitor": self.watched_loss, "strict": False}
        return {"optimizer": optimizer, "lr_scheduler": plan}

    def seconds(self) -> float:
        """Seconds of training, validation included, also of that before it was resumed; 0 before it begins."""
        if self._begun is None:
            return self._seconds
        return self._seconds + (self._ended or time.perf_counter()) - self._begun

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_train_start(self) -> None:
        """Let a plateau scheduler see the epoch after which a run was stopped: its checkpoint was saved before that."""
        if not self._goes_on:
            return
        self._goes_on = False
        for plan in self.trainer.lr_scheduler_configs:
            if plan.reduce_on_plateau and self.watched_loss in self.metrics:
                value: Any = torch.tensor(self.metrics[self.watched_loss])  # in float32, as it was published
                plan.scheduler.step(value)

    def on_train_end(self) -> None:
        """Stop the clock."""
        self._ended = time.perf_counter()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Keep the rate of this step: when it is logged, a scheduler has set that of the next."""
        self.lr = float(optimizer.param_groups[0]["lr"])

    def see_loss(self, loss: float) -> None:
        """Take in a loss that was read; stop training where it is not finite, if that is wanted."""
        if not math.isfinite(loss) and self.diverged_at is None:
            self.diverged_at = self.trainer.global_step
            self.trainer.should_stop = self.trainer.should_stop or self.stops_when_diverged

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs to go on as if it had not been stopped."""
        checkpoint["metrics"] = dict(self.metrics)
        checkpoint["curves"] = self.curves.state()
        since = self._since_logged if isinstance(self._since_logged, float) else self._since_logged.tolist()
        checkpoint["logging"] = {"at": self._logged_at, "since": since, "diverged_at": self.diverged_at}
        checkpoint["effort"] = {"seconds": self.seconds(), "samples_seen": self.samples_seen}
        checkpoint["random"] = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from where the checkpoint was, when training does; a test of other parameters changes nothing else."""
        if not is_fitting(self.trainer):
            return
        self._goes_on = complete_epoch(checkpoint)
        self.metrics = dict(checkpoint["metrics"])
        self.curves.load(checkpoint["curves"])
        logging = checkpoint.get("logging", {"at": 0, "since": 0.0, "diverged_at": None})  # 0.2.0 kept none of it
        since = logging["since"]
        self._since_logged = np.array(since) if isinstance(since, list) else since
        self._logged_at, self.diverged_at = logging["at"], logging["diverged_at"]
        self._seconds, self.samples_seen = checkpoint["effort"]["seconds"], checkpoint["effort"]["samples_seen"]
        torch.set_rng_state(checkpoint["random"]["cpu"].cpu())
        if len(checkpoint["random"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in checkpoint["random"]["cuda"]])
