"""A function that is descended as it is, without data."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_dl.descent.point import Point
from lit_dl.descent.trajectories import Trajectory
from lit_dl.lightning_seams import is_fitting, log_every
from lit_dl.loggers import is_logged_step, log_scalars
from lit_dl.tasks.base import Task


class Descent(Task):
    """A point that goes down a surface f(x, y).

    The only metric is ``train/loss``, which is f: as logged and in ``logged`` where the point was before the step, and
    where it is by now at the end of an epoch. ``point/x`` and ``point/y`` are the point after the step. Every point is
    kept, on the device until a step is logged.

    Args:
        network: the point.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the learning-rate scheduler from the optimizer.
        stops_when_diverged: stop training where an f is read that is not finite, at the next logged step.
    """

    watched_loss = "train/loss"
    metric_names = ("train/loss",)

    def __init__(
        self,
        network: Point,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., Any] | None = None,
        stops_when_diverged: bool = True,
    ) -> None:
        super().__init__(network, optimizer, scheduler, stops_when_diverged)
        self.network: Point = network
        self._waiting: list[tuple[Tensor, Tensor]] = []  # (x, y) and f before each step not yet read, on the device
        self._read: list[Tensor] = []  # (n, 3) each: x, y and f before each step
        self._next = 0  # the step whose point comes next

    def forward(self, *_: object) -> Tensor:
        """F where the point is, ()."""
        return self.network()

    def training_step(self, batch: object, batch_idx: int) -> Tensor:
        """F where the point is, ()."""
        f: Tensor = self.network()
        step = self.trainer.global_step
        if step >= self._next:  # LBFGS asks several times in a step, accumulation makes a step of several batches
            self._waiting.append((self.network.position.detach().clone(), f.detach()))
            self._next = step + 1
        return f

    def now(self) -> tuple[float, float, float]:
        """The point after the newest step, and f before it: x, y, f. Waits for the device."""
        f = self._waiting[-1][1].item() if self._waiting else self._read[-1][-1, 2].item()
        x, y = self.network.position.tolist()
        return x, y, f

    def trajectory(self) -> Trajectory:
        """All points so far, with that where the point is now."""
        self._take()
        last = torch.stack([*self.network.position.detach(), self._f()]).cpu()
        points = torch.cat([*self._read, last[None]]).double().numpy()
        return Trajectory(self.network.surface, torch.arange(len(points)).numpy(), *points.T)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log f and the point, at logged steps."""
        step = self.trainer.global_step
        if step == self._logged_at or not is_logged_step(log_every(self.trainer), step):
            return
        self._logged_at = step
        x, y, f = self.now()
        self._take()
        self.logged = {"train/loss": f, "lr": self.lr}
        self.see_loss(f)
        epoch = step / self.trainer.num_training_batches
        self.curves.add(step, epoch, self.seconds(), {"train/loss": f})
        log_scalars(self.trainer, {**self.logged, "point/x": x, "point/y": y}, step)

    def on_train_epoch_end(self) -> None:
        """Publish f where the point is now."""
        f = self._f().item()
        self.see_loss(f)
        self.metrics["train/loss"] = f
        self.log("train/loss", f, logger=False, on_step=False, on_epoch=True, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the points so far."""
        super().on_save_checkpoint(checkpoint)
        self._take()
        checkpoint["points"] = torch.cat(self._read)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the points so far."""
        super().on_load_checkpoint(checkpoint)
        if is_fitting(self.trainer):
            self._read = [checkpoint["points"].cpu()]
            self._next = len(self._read[0])

    @torch.no_grad()
    def _f(self) -> Tensor:
        return self.network()

    def _take(self) -> None:
        """Bring the points that wait over in one transfer."""
        if self._waiting:
            points, values = (torch.stack(each) for each in zip(*self._waiting, strict=True))
            self._read.append(torch.cat([points, values[:, None]], dim=1).cpu())
            self._waiting = []
