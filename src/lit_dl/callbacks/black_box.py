"""What keeps the step at which a training diverged, so that it can be repeated afterwards."""

import math
from collections import deque
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_dl import records
from lit_dl.callbacks.checkpoints import AtomicCheckpointIO
from lit_dl.callbacks.divergence import gathered, row_numbers
from lit_dl.callbacks.gradient_monitor import GradientMonitor
from lit_dl.callbacks.monitor_state import RECENT
from lit_dl.console import relative, say
from lit_dl.crashes.crash import Crash, Pass
from lit_dl.crashes.random_state import RandomStates
from lit_dl.lightning_seams import callbacks_of, has_scaler, is_trial


class BlackBox(Callback):
    """Writes ``crash.pt`` at the first loss or gradient that is not finite: all that it takes to repeat that step.

    The batch with its rows, the random states before the pass, parameters, buffers and optimizers, and the losses and
    measures of the last fifty steps. ``python -m lit_dl.replay`` reads it.

    On a CPU each loss is looked at before the optimizer's step, at no cost, and what is kept is from before that step.
    So it is with a gradient that a GradientMonitor beside it finds at a logged step. Elsewhere looking would wait for
    the device, and a divergence is found later, by the monitor or by the module's ``diverged_at``: then parameters and
    optimizers are those after the step, which the file says (``state``). Batch and random states are those of the step
    all the same, if it is one of the last fifty and of this epoch.

    Args:
        folder: where the file goes; None takes the trainer's ``default_root_dir``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._given = folder
        self._folder = Path()  # known when training starts, and so are the next three
        self._monitor: GradientMonitor | None = None
        self._random = RandomStates(torch.device("cpu"))
        self._looks_ahead = True
        self._is_over = True  # whether something was kept, or nothing is to be
        self._step = 0  # the newest step that was made
        self._is_open = False  # whether the optimizer is stepping
        self._passes: list[Pass] = []  # of the coming step
        self._earlier: deque[tuple[int, int, Pass]] = deque(maxlen=RECENT)  # step, epoch and pass, less its batch
        self._losses: deque[tuple[int, Tensor | float]] = deque(maxlen=RECENT)  # with their steps
        self._owners: list[tuple[str, nn.Module]] = []  # of buffers, such as a batch norm of its statistics
        self._buffers: dict[str, Tensor] = {}  # copies from before the pass, which changes them

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look where this training is."""
        self._folder = Path(trainer.default_root_dir) if self._given is None else self._given
        self._monitor = next((each for each in callbacks_of(trainer) if isinstance(each, GradientMonitor)), None)
        self._random = RandomStates(pl_module.device)
        self._looks_ahead = pl_module.device.type == "cpu" and not has_scaler(trainer)
        self._step, self._is_open = trainer.global_step, False
        for kept in (self._passes, self._earlier, self._losses, self._buffers):
            kept.clear()
        modules = pl_module.named_modules()
        self._owners = [
            (f"{name}.", each) for name, each in modules if next(each.buffers(recurse=False), None) is not None
        ]
        # A resumed run that has diverged before keeps what it has of that.
        is_known = self._step > 0 and ((self._folder / records.CRASH_FILE).exists() or self._found(pl_module))
        self._is_over = is_trial(trainer) or bool(is_known)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Keep what the coming pass begins with."""
        if not self._is_over:
            self._passes.append(Pass(batch_idx, self._random.take(), batch))
            for prefix, module in self._owners:
                for name, buffer in module.named_buffers(recurse=False):
                    self._buffers[prefix + name] = buffer.detach().clone()

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep the loss; look at it where that does not wait for a device."""
        if self._is_over or not self._passes or loss.numel() != 1:
            return
        self._random.end_pass(self._passes[-1].random)
        self._passes[-1].loss = loss.detach()
        if not self._looks_ahead:
            self._losses.append((self._step + 1, loss.detach()))
            return
        value = loss.item()
        self._losses.append((self._step + 1, value))
        if not math.isfinite(value):
            self._keep(trainer, pl_module, self._step + 1, is_before=True)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """A monitor has looked at the gradient, if it does so before the step."""
        self._is_open = True
        if not self._is_over and self._found(pl_module) == self._step + 1:
            self._keep(trainer, pl_module, self._step + 1, is_before=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let go of the pass if its step was made; keep what was found since."""
        if self._is_over:
            return
        if self._is_open:
            self._step = self._step + 1 if pl_module.automatic_optimization else trainer.global_step
            self._is_open = False
        self._look_back(trainer, pl_module)
        if self._passes and self._losses and self._losses[-1][0] == self._step:
            for each in self._passes:
                each.batch = None
            self._earlier.extend((self._step, trainer.current_epoch, each) for each in self._passes)
            self._passes = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what was found since."""
        self._look_back(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what was found since."""
        self._look_back(trainer, pl_module)

    def _found(self, module: LightningModule) -> int | None:
        """The step at which a monitor or the module itself found that the training diverged."""
        found = None if self._monitor is None else self._monitor.diverged_at
        return getattr(module, "diverged_at", None) if found is None else found

    def _look_back(self, trainer: Trainer, module: LightningModule) -> None:
        if self._is_over or (step := self._found(module)) is None:
            return
        is_kept = trainer.world_size > 1 and (self._folder / records.CRASH_FILE).exists()  # by the process that saw it
        self._is_over = is_kept or not trainer.is_global_zero
        if not self._is_over:
            self._keep(trainer, module, step, is_before=False)

    def _keep(self, trainer: Trainer, module: LightningModule, step: int, is_before: bool) -> None:
        """Write the file, once. A full disk is said, and does not end what is recorded."""
        self._is_over = True
        losses = [(at, float(loss)) for at, loss in self._losses]
        is_of_loss = any(at == step and not math.isfinite(loss) for at, loss in losses)
        epoch, passes = self._passes_of(trainer, step)
        first = losses[0][0] if losses else step
        crash = Crash(
            step=step,
            found="loss" if is_of_loss else "gradient",
            state="before" if is_before else "after",
            state_step=self._step,
            epoch=epoch,
            passes=passes,
            parameters=dict(module.named_parameters()),
            buffers=dict(self._buffers),
            optimizers=[optimizer.state_dict() for optimizer in trainer.optimizers],
            losses=losses,
            measures=[] if self._monitor is None else [each for each in self._monitor.recent if each[0] >= first],
            accumulated=trainer.accumulate_grad_batches,
            threads=torch.get_num_threads(),
            device=str(module.device),
            precision=str(trainer.precision),
            torch=torch.__version__,
        )
        path = self._folder / records.CRASH_FILE
        try:
            AtomicCheckpointIO().save_checkpoint(crash.content(), path)
        except OSError as error:
            say(f"the step that diverged could not be kept: {error}", style="yellow")
            return
        if trainer.is_global_zero:
            is_run = (self._folder / records.HYDRA_FOLDER).is_dir()  # else nothing says how to rebuild the network
            how = f"; to repeat it: python -m lit_dl.replay {relative(self._folder)}" if is_run else ""
            say(f"step {step:,} is kept in {relative(path)}{how}", style="yellow")

    def _passes_of(self, trainer: Trainer, step: int) -> tuple[int, list[Pass]]:
        """The epoch and the passes of a step, with their batches and rows where they are to be had."""
        if self._passes and self._losses and step == self._losses[-1][0]:
            passes, epoch = self._passes, trainer.current_epoch
        else:
            earlier = [(epoch, each) for at, epoch, each in self._earlier if at == step]
            passes, epoch = [each for _, each in earlier], earlier[0][0] if earlier else trainer.current_epoch
        for each in passes if epoch == trainer.current_epoch else []:
            each.rows = row_numbers(trainer, each.batch_idx)
            each.batch = gathered(trainer, each.batch_idx) if each.batch is None else each.batch
        return epoch, passes
