"""One training under the gradient monitor, from its first batch to its last."""

import math
import time
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from lit_dl.callbacks.divergence import Divergence, of_forward_pass, of_gradient, of_what_was_read
from lit_dl.callbacks.flow_picture import FlowPicture
from lit_dl.callbacks.monitor_state import MonitorOptions, MonitorState
from lit_dl.callbacks.tensorboard import as_markdown, by_activation, by_layer, log_histograms
from lit_dl.console import say
from lit_dl.diagnostics.activations import ForwardWatch
from lit_dl.diagnostics.losses import LossBuffer
from lit_dl.diagnostics.observation import Observation
from lit_dl.diagnostics.parameters import non_finite
from lit_dl.diagnostics.step_measurement import Meters, StepMeasurement
from lit_dl.diagnostics.transfer import Transfer
from lit_dl.lightning_seams import has_scaler, log_every, scale_left
from lit_dl.loggers import boards, is_logged_step, log_scalars
from lit_dl.records import Finding

VALIDATION_LOSSES = ("val/loss", "val_loss", "valid_loss", "validation_loss")  # names that modules give it
STEPS_BETWEEN_COUNTS = 10  # of zeros, at least: counting takes as long as two norms, and nobody needs it at every step


class MonitoredTraining:
    """Measures, logs and judges a training, batch by batch.

    A step of the optimizer is open from ``begin_step`` to the end of its batch; ``measurement`` exists while the open
    step is one that is logged.

    Args:
        trainer: of the training.
        module: whose network is watched until ``close``.
        state: what was seen before, and grows.
        options: of the monitor.
    """

    def __init__(self, trainer: Trainer, module: LightningModule, state: MonitorState, options: MonitorOptions) -> None:
        self.trainer, self.state, self.options = trainer, state, options
        self.watch = ForwardWatch(module)
        self.losses = LossBuffer(state.history)
        self.step = self._logged = trainer.global_step  # the newest step, and that which was logged last
        self.measurement: StepMeasurement | None = None  # of the open step, if it is logged
        self.meters: Meters | None = None  # once the layers are known, after the first forward pass
        self.device = module.device
        self._is_open = False  # no step has begun
        self._is_automatic = module.automatic_optimization  # whether Lightning steps the optimizer
        # Whether loss and gradient are looked at before the step: it costs nothing on a CPU.
        self._looks_ahead = self.device.type == "cpu" and trainer.world_size == 1 and not has_scaler(trainer)
        self._every = log_every(trainer)
        self._logs = False  # whether the coming step is logged; set by each batch
        self._batch: tuple[int, Any] = (0, None)  # the newest: its number and what is in it
        self._rms: list[Tensor] = []  # RMS gradients of the steps not yet read, (layers,) on the device
        self._zeros_counted: int | None = None  # the step of the last count; none before the first
        self._epoch_of_histograms = -1  # before the first epoch
        self._begun: float | None = time.perf_counter()  # None once training has ended
        self.picture = FlowPicture(trainer, state.history)

    def under_way(self) -> dict[str, Any]:
        """Primitives and tensors, from which ``go_on`` goes on: what lies between two logged steps."""
        return {
            "logged": self._logged,
            "zeros_counted": self._zeros_counted,
            "epoch_of_histograms": self._epoch_of_histograms,
            "rms": [rms.cpu() for rms in self._rms],
            "losses": self.losses.state(),
            "activations": self.watch.state(),
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``under_way`` gave."""
        self._logged, self._zeros_counted = state["logged"], state["zeros_counted"]
        self._epoch_of_histograms = state["epoch_of_histograms"]
        self._rms = [rms.to(self.device) for rms in state["rms"]]
        self.losses.load(state["losses"])
        self.watch.load(state["activations"])

    def begin_batch(self, batch: Any, batch_idx: int) -> None:
        """Watch a forward pass."""
        self._batch = batch_idx, batch
        self._logs = is_logged_step(self._every, self.step + 1, self._logged)
        self.watch.begin(self._logs, self._logs and self._wants_histograms())

    def see_loss(self, loss: Tensor) -> None:
        """The forward pass is over; look at the loss where that does not wait for a device."""
        self.watch.end()
        if not self._looks_ahead or loss.numel() != 1:
            return
        value = loss.item()
        self.losses.add(value)
        if not math.isfinite(value) and self.state.diagnosis.diverged_at is None:
            self._diverge(of_forward_pass(self.watch, self._batch[1], value, self.step + 1))

    def begin_step(self, optimizer: Optimizer) -> None:
        """The optimizer is about to step: measure the gradient, and keep it from a step that would spoil weights."""
        self._is_open = True
        if self._logs or self.options.every_step:
            self._measure(optimizer)
        if self._looks_ahead and self.state.diagnosis.diverged_at == self.step + 1:
            self._withhold(optimizer)

    def end_batch(self, outputs: Any) -> None:
        """The batch is done, and with it the open step."""
        self.watch.end()  # a batch that gives no loss has no backward pass
        if not self._looks_ahead:
            loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            if isinstance(loss, Tensor) and loss.numel() == 1:
                self.losses.add(loss.detach().reshape(()))
        if not self._is_open:  # gradients are being accumulated
            return
        self._is_open = False
        # Lightning takes its time to count the steps, and where it steps by itself that is not needed.
        self.step = self.step + 1 if self._is_automatic else self.trainer.global_step
        self.losses.end_step()
        if self.measurement is not None:
            measurement, self.measurement, self._logged = self.measurement, None, self.step
            self._read(measurement)

    def see_validation(self) -> None:
        """Compare with training, and renew the picture."""
        self.losses.read_now(self.step)
        metrics, seen = self.trainer.callback_metrics, self.losses.since_validation
        name = next((name for name in VALIDATION_LOSSES if name in metrics), None)
        if name is not None and seen.count:
            found = self.state.diagnosis.see_validation(self.trainer.global_step, seen.value(), metrics[name].item())
            self._say(found)
        seen.clear()
        if self.picture.is_due():
            self.picture.draw()

    def end_epoch(self) -> None:
        """Take in the epoch's mean loss."""
        self.losses.read_now(self.step)
        if not self._looks_ahead:
            self._look_for_divergence()
        if self.losses.since_epoch.count:
            self.state.diagnosis.see_epoch(self.losses.since_epoch.value())
        self.losses.since_epoch.clear()

    def seconds(self) -> float:
        """Since training began; 0 once it has ended, and is counted."""
        return 0.0 if self._begun is None else time.perf_counter() - self._begun

    def close(self) -> None:
        """Take the hooks off the network, and count the time; once."""
        if self._begun is None:
            return
        self.watch.close()
        self.state.seconds += self.watch.seconds
        self.state.training_seconds += self.seconds()
        self._begun = None

    def _measure(self, optimizer: Optimizer) -> None:
        self.watch.end()
        if self.meters is None:
            self.meters = Meters(self.watch.layers, self.trainer.optimizers, self.options.optimizer_steps)
        scale = scale_left(self.trainer, optimizer)
        if not self._logs:
            self._rms.append(self.meters.step.gradient_rms() / scale)
        elif self.measurement is None:  # optimizers such as LBFGS ask for the gradient of a step several times
            step = self.step + 1
            counts_zeros = self._zeros_counted is None or step - self._zeros_counted >= STEPS_BETWEEN_COUNTS
            self._zeros_counted = step if counts_zeros else self._zeros_counted
            self.measurement = StepMeasurement(self.meters, self.trainer.optimizers, scale, counts_zeros)
            if self._looks_ahead and self.state.diagnosis.diverged_at is None and not self.measurement.is_finite():
                self._diverge(of_gradient(self.watch.layers, step))

    def _withhold(self, optimizer: Optimizer) -> None:
        """Keep the optimizer from a step with a gradient that is not finite."""
        log_scalars(self.trainer, {"grad_nonfinite/total": float(non_finite(self.watch.layers)[0])}, self.step + 1)
        if self.options.on_divergence == "stop":
            self.measurement = None
            optimizer.zero_grad(set_to_none=True)  # optimizers leave parameters without a gradient alone

    def _read(self, measurement: StepMeasurement) -> None:
        """Bring the numbers of a logged step over in one transfer, and use them."""
        assert self.meters is not None
        names, state, transfer = self.meters.names, self.state, Transfer()
        measurement.send(transfer, is_clipped=self.trainer.gradient_clip_val is not None)
        self.watch.send(transfer)
        self.losses.send(transfer)
        unlogged = [transfer.add(rms.unbind()) for rms in self._rms]
        self._rms = []
        transfer.fetch()
        values, totals, activations = measurement.read(), measurement.totals(), self.watch.read()
        self.losses.read(self.step)
        for step, handle in enumerate(unlogged, self.step - len(unlogged)):
            state.history.add_layers(step, names, handle.values)
        state.history.add_layers(self.step, names, values["grad_rms"])
        if state.step_history is not None:
            state.step_history.add(self.step, names, values, measurement.lr)
        if not math.isfinite(totals["grad_norm/total"]):
            totals["grad_nonfinite/total"] = float(non_finite(self.watch.layers)[0])
        scalars = {**totals, **by_layer(names, values), **by_activation(activations)}
        log_scalars(self.trainer, scalars, self.step)
        state.recent.append((self.step, scalars))
        if self._wants_histograms():
            self._epoch_of_histograms = self.trainer.current_epoch
            log_histograms(self.trainer, self.watch.layers, self.watch.outputs(), self.step)
        total = totals.get("grad_norm_clipped/total", totals["grad_norm/total"])
        self._look_for_divergence(total)
        losses, self.losses.since_observation = self.losses.since_observation, []
        if state.diagnosis.diverged_at is None:
            rms, ratio = values["grad_rms"], values["update_ratio"]
            compared, lr = self.meters.compared, measurement.lr
            seen = Observation(self.step, losses, names, compared, rms, ratio, total, lr, activations)
            self._say(state.diagnosis.see(seen))

    def _look_for_divergence(self, total: float = 0.0) -> None:
        """Look for losses that were read, or a gradient's norm, that are not finite."""
        losses = self.losses.since_observation
        diverged = not all(map(math.isfinite, losses)) or not (math.isfinite(total) or has_scaler(self.trainer))
        if self.trainer.world_size > 1:  # all processes stop at the same step
            diverged = self.trainer.strategy.reduce_boolean_decision(diverged, all=False)
        if diverged and self.state.diagnosis.diverged_at is None:
            self._diverge(of_what_was_read(self.watch.layers, losses, self.step))

    def _diverge(self, found: Divergence) -> None:
        if found.step == self.step + 1:  # else it was an earlier batch
            found.add_batch(self.trainer, self._batch[0])
        self.losses.read_now(self.step)
        new = self.state.diagnosis.see_divergence(found.step, found.layers, found.message, found.evidence, found.advice)
        self._say(new)
        if self.options.on_divergence == "stop":
            self.trainer.should_stop = True

    def _say(self, findings: list[Finding]) -> None:
        for finding in findings:
            if self.trainer.is_global_zero:
                say(f"finding: {finding.in_words(self.options.wording)}", style="yellow")
            for board in boards(self.trainer):
                text = as_markdown([finding], self.options.wording)
                board.experiment.add_text("diagnosis", text, self.trainer.global_step)

    def _wants_histograms(self) -> bool:
        wanted = self.options.histograms and self._epoch_of_histograms != self.trainer.current_epoch
        return wanted and bool(boards(self.trainer))
