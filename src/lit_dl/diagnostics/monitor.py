"""The callback that measures while a Trainer runs, logs, draws and says what is wrong."""

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import islice
from statistics import fmean
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

from lit_dl.console import diagnosis_block, say
from lit_dl.diagnostics.activations import ForwardWatch, Reading
from lit_dl.diagnostics.board import CHARTS, STEP_CHARTS, as_markdown, by_activation, by_layer, log_histograms
from lit_dl.diagnostics.figures import GradientFlowImage, effective_rates
from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.measures import MEASURES, Layer, StepMeter, non_finite, to_cpu
from lit_dl.diagnostics.sight import Finding, Sight
from lit_dl.diagnostics.steps import STEP_MEASURES, RateMeter, StepHistory, rates_by_layer
from lit_dl.diagnostics.verdict import Verdict
from lit_dl.loggers import boards, is_logged_step, log_scalars

VALIDATION_LOSSES = ("val/loss", "val_loss", "valid_loss", "validation_loss")  # names that modules give it
STEPS_BETWEEN_COUNTS = 10  # of zeros, at least: counting takes as long as two norms, and nobody needs it at every step
SECONDS_BETWEEN_PICTURES = 5.0  # as often as TensorBoard looks for something new; one takes some 15 ms


def _timed(method: Callable[..., None]) -> Callable[..., None]:
    """Add the time that a hook takes to the monitor's own."""

    @functools.wraps(method)
    def timed(self: "GradientMonitor", *arguments: Any, **options: Any) -> None:
        begun = time.perf_counter()
        try:
            method(self, *arguments, **options)
        finally:
            self.seconds += time.perf_counter() - begun

    return timed


class GradientMonitor(Callback):
    """Shows how a network trains: measures each layer, draws where the gradients go, and says what is wrong.

    It works on any LightningModule and finds the layers by itself, in order of use. It measures at the first step and
    every ``log_every_n_steps``:

    - of each layer ``grad_norm/<nn>_<layer>``, ``grad_rms/...``, ``grad_zeros/...``, ``weight_norm/...`` and
      ``update_ratio/...`` (see ``lit_dl.diagnostics.measures``);
    - of each activation ``activation/<nn>_<kind>/{mean,std,saturated,dead}`` (see ``lit_dl.diagnostics.activations``),
      with the number of the layer before it;
    - where layers have learning rates of their own, ``lr/<nn>_<layer>``;
    - of the net ``grad_norm/total``, with clipping ``grad_norm_clipped/total``, and where entries are not finite their
      number, ``grad_nonfinite/total``.

    Gradients are those that the optimizer gets: after the unscaling of mixed precision and, but for the clipped norm,
    before clipping; with accumulation, of the sum over the accumulated batches; under DDP, the synchronised ones, while
    activations and losses are those of the first process. There is one transfer from the device a logged step.

    TensorBoard also gets charts that show all layers at once, the image ``gradient_flow`` and the text ``diagnosis``.
    Findings (``findings``, see ``lit_dl.diagnostics.verdict``) are printed once certain, and all at the end.

    A non-finite loss (at a logged step also a gradient) is found on a CPU before the optimizer's step is made,
    elsewhere and under DDP at the next logged step or the end of the epoch.

    Args:
        on_divergence: what to do then: ``"stop"`` training (on a CPU without that step), or ``"continue"``.
        every_step: keep each step's RMS gradients for the pictures, not only those of logged steps.
        histograms: log those of gradients, weights and activations too, at the first logged step of each epoch.
        optimizer_steps: log what the optimizer makes of the gradients too: of each layer ``effective_lr/...``,
            ``step_rms/...`` and ``step_max/...`` (see ``lit_dl.diagnostics.steps``), and their picture at the end.

    Raises:
        ValueError: for an ``on_divergence`` that is neither.

    Example:
        >>> trainer = Trainer(callbacks=[GradientMonitor()])  # doctest: +SKIP
    """

    def __init__(
        self,
        on_divergence: Literal["stop", "continue"] = "stop",
        every_step: bool = False,
        histograms: bool = False,
        optimizer_steps: bool = False,
    ) -> None:
        if on_divergence not in ("stop", "continue"):
            raise ValueError(f"on_divergence is {on_divergence!r}; it must be stop or continue")
        self.on_divergence = on_divergence
        self.every_step = every_step
        self.histograms = histograms
        self.optimizer_steps = optimizer_steps
        self._restored: dict[str, Any] | None = None  # the state to go on from
        self._forget()

    def _forget(self) -> None:
        """Begin anew."""
        self.history: History | None = None  # made when training starts
        self.step_history = StepHistory() if self.optimizer_steps else None
        self.verdict = Verdict()
        self.seconds = 0.0  # that the monitor took, of training_seconds
        self.training_seconds = 0.0
        self._watch: ForwardWatch | None = None  # while training
        self._meter: StepMeter | None = None  # once the layers are known
        self._layer_rates: list[float | None] = []  # of the coming step
        self._rates: RateMeter | None = None  # likewise, if steps of the optimizer are measured
        self._picture: GradientFlowImage | None = None  # while training
        self._drawn = 0.0  # when it was renewed last
        self._begun: float | None = None  # when training started or was resumed; None once it has ended
        self._epoch_of_histograms = -1
        self._step = 0  # the newest step of the optimizer
        self._logged = 0  # that which was logged last, or with which training began
        self._automatic = True  # whether Lightning steps the optimizer
        self._every = 1  # steps from one that is logged to the next
        self._logs = False  # whether the coming step is logged
        self._compared: list[bool] = []  # whether each layer's gradient compares with others'
        self._stepping = False  # whether the optimizer steps after this batch, or gradients are being accumulated
        self._pending = False  # the gradient of a logged step is taken, its change of the weights not yet
        self._zeros_counted = 0  # the step of the last count
        self._looks_ahead = False  # whether loss and gradient are checked before the step: it costs nothing on a CPU
        self._batch: tuple[int, Any] = (0, None)  # the newest: its number and what is in it
        self._scale = torch.ones(())  # what the gradients of a logged step are still multiplied by
        self._loss: Tensor | float | None = None  # of the coming step, a sum over accumulated batches
        self._losses: list[Tensor | float] = []  # of the steps not yet read; on a device, ()
        self._read_losses: list[float] = []  # of the steps since the last sight
        self._rms: list[Tensor] = []  # RMS gradients of the steps not yet read, (layers,) on the device
        self._since_validation: list[float] = []  # losses
        self._since_epoch: list[float] = []

    @property
    def findings(self) -> list[Finding]:
        """What was found so far."""
        return self.verdict.findings

    @property
    def layers(self) -> list[Layer]:
        """The network's layers in order of use; none before the first forward pass."""
        return self._watch.layers if self._watch is not None else []

    @property
    def diverged_at(self) -> int | None:
        """The step at which loss or gradient were found not to be finite."""
        return next((finding.since_step for finding in self.findings if finding.kind == "diverged"), None)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the hooks on the network and lay out the charts."""
        if trainer.global_step == 0:  # a new training, not one that is resumed
            self._forget()
        elif self._restored is not None:
            self._restore(self._restored)
        self._restored = None
        self._looks_ahead = pl_module.device.type == "cpu" and trainer.world_size == 1 and not _has_scaler(trainer)
        self._watch, self._meter, self._rates = ForwardWatch(pl_module), None, None
        self._step = self._logged = trainer.global_step
        self._automatic = pl_module.automatic_optimization
        self._every = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set where mypy does not look
        if self.history is None:
            self.history = History()
        steps = trainer.estimated_stepping_batches
        self._picture = GradientFlowImage(int(steps) if math.isfinite(steps) else None)
        for board in boards(trainer):
            board.experiment.add_custom_scalars(CHARTS | STEP_CHARTS if self.optimizer_steps else CHARTS)
        self._begun = self._drawn = time.perf_counter()

    # These four run at every step, so they take their time themselves: the wrapper would cost more than they do.

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Watch the forward pass."""
        begun = time.perf_counter()
        self._batch = batch_idx, batch
        self._logs = is_logged_step(self._every, self._step + 1, self._logged)
        keeping = self._logs and self._wants_histograms(trainer)
        self._watch.begin(self._logs, keeping)  # type: ignore[union-attr]  # it is there while training
        self.seconds += time.perf_counter() - begun

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """The forward pass is over; look at the loss where that does not wait for a device."""
        begun = time.perf_counter()
        self._watch.end()  # type: ignore[union-attr]
        if self._looks_ahead and loss.numel() == 1:
            value = loss.item()
            self._loss = value if self._loss is None else self._loss + value
            if not math.isfinite(value) and self.diverged_at is None:
                self._diverge_in_forward(trainer, value)
        self.seconds += time.perf_counter() - begun

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure the gradient, and the weights before the step; keep a step from being made that would spoil them."""
        begun = time.perf_counter()
        self._stepping = True
        if self._logs or self.every_step:
            self._measure(trainer, optimizer)
        if self._looks_ahead and self.findings and self.diverged_at == self._step + 1:
            self._withhold(trainer, optimizer)
        self.seconds += time.perf_counter() - begun

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss; after a logged step read and log what was measured, and judge it."""
        begun = time.perf_counter()
        self._watch.end()  # type: ignore[union-attr]  # a batch that gives no loss has no backward pass
        if not self._looks_ahead:
            self._add_loss(outputs)
        if self._stepping:
            self._stepping = False
            # Lightning takes its time to count the steps, and where it steps by itself that is not needed.
            self._step = self._step + 1 if self._automatic else trainer.global_step
            if self._loss is not None:
                self._losses.append(self._loss)
                self._loss = None
            if self._pending:
                self._pending, self._logged = False, self._step
                self._read(trainer)
        self.seconds += time.perf_counter() - begun

    @_timed
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare with training, and renew the picture."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._read_the_losses()
        name = next((name for name in VALIDATION_LOSSES if name in trainer.callback_metrics), None)
        if name is not None and self._since_validation:
            train_loss = fmean(self._since_validation)
            val_loss = trainer.callback_metrics[name].item()
            self._say(trainer, self.verdict.see_validation(trainer.global_step, train_loss, val_loss))
        self._since_validation = []
        if time.perf_counter() - self._drawn > SECONDS_BETWEEN_PICTURES:
            self._draw(trainer)

    @_timed
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take in the epoch's mean loss."""
        self._read_the_losses()
        if not self._looks_ahead:
            self._check(trainer)
        if self._since_epoch:
            self.verdict.see_epoch(fmean(self._since_epoch))
        self._since_epoch = []

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Conclude and take the hooks off."""
        self.verdict.conclude(trainer.global_step)
        self._leave()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last picture and print the diagnosis, out of the time of training.

        Where no layer compares with others, as with a point on a surface, nothing but a divergence is looked for.
        """
        self._draw(trainer)
        if self._compared and not any(self._compared) and not self.findings:
            return
        for board in boards(trainer):
            board.experiment.add_text("diagnosis", as_markdown(self.findings), trainer.global_step)
            if self.step_history is not None and self.step_history.layers:
                board.experiment.add_figure("effective_lr", effective_rates(self.step_history), trainer.global_step)
        if trainer.is_global_zero:
            say(diagnosis_block([asdict(finding) for finding in self.findings], self.share), wraps=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the hooks off."""
        self._leave()

    @property
    def share(self) -> float | None:
        """Of the training time (validation included), what the monitor took; None before it has ended.

        On an accelerator this counts the wait for the device at logged steps, which is more than the monitor's own.
        """
        return self.seconds / self.training_seconds if self.training_seconds else None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        since = 0.0 if self._begun is None else time.perf_counter() - self._begun
        history = self.history.state() if self.history is not None else None
        seconds = {"seconds": self.seconds, "training_seconds": self.training_seconds + since}
        steps = self.step_history.state() if self.step_history is not None else None
        return {"verdict": self.verdict.state(), "history": history, "step_history": steps, **seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave, once training does; a checkpoint that is tested changes nothing."""
        self._restored = state_dict

    def _restore(self, state: dict[str, Any]) -> None:
        self.verdict.load(state["verdict"])
        if state["history"] is not None:
            self.history = History()
            self.history.load(state["history"])
        if self.step_history is not None and state.get("step_history") is not None:
            self.step_history.load(state["step_history"])
        self.seconds, self.training_seconds = state["seconds"], state["training_seconds"]

    def _add_loss(self, outputs: Any) -> None:
        """Add the loss of a batch to that of the coming step, on the device."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and loss.numel() == 1:
            loss = loss.detach().reshape(())
            self._loss = loss if self._loss is None else self._loss + loss

    def _measure(self, trainer: Trainer, optimizer: Optimizer) -> None:
        """Take the gradient of the coming step."""
        assert self._watch is not None
        self._watch.end()
        if self._meter is None:
            self._meter = StepMeter(self._watch.layers)
            self._rates = RateMeter(self._watch.layers) if self.optimizer_steps else None
            trained = {id(p) for each in trainer.optimizers for group in each.param_groups for p in group["params"]}
            self._compared = [
                layer.is_compared and any(id(p) in trained for p in layer.parameters) for layer in self._watch.layers
            ]
        step = self._step + 1
        if not self._logs:
            self._rms.append(self._meter.gradient_rms() / _scale_left(trainer, optimizer))
        elif not self._pending:  # optimizers such as LBFGS ask for the gradient of a step several times
            self._pending = True
            self._scale = _scale_left(trainer, optimizer)
            counts_zeros = self._zeros_counted == 0 or step - self._zeros_counted >= STEPS_BETWEEN_COUNTS
            self._zeros_counted = step if counts_zeros else self._zeros_counted
            self._meter.before(counts_zeros)
            self._layer_rates = rates_by_layer(self._watch.layers, trainer.optimizers)  # schedulers move before _read
            if self._rates is not None:
                self._rates.before(trainer.optimizers)
            if self._looks_ahead and self.diverged_at is None and not self._meter.is_finite():
                count, names = non_finite(self._watch.layers)
                self._diverge(trainer, step, names, f"{count:,} entries of the gradient are not finite")

    def _diverge_in_forward(self, trainer: Trainer, loss: float) -> None:
        assert self._watch is not None
        batch = self._batch[1]
        inputs = batch[0] if isinstance(batch, list | tuple) else batch
        if isinstance(inputs, Tensor) and not inputs.isfinite().all():
            message = f"the loss is {loss}; inputs of the batch are not finite either"
            self._diverge(trainer, self._step + 1, [], message, advice="")
            return
        first = self._watch.first_non_finite(inputs)
        where = f"; {first} is the first layer whose output is not finite" if first else ""
        self._diverge(trainer, self._step + 1, [first] if first else [], f"the loss is {loss}{where}")

    def _withhold(self, trainer: Trainer, optimizer: Optimizer) -> None:
        """Keep the optimizer from a step with a gradient that is not finite."""
        assert self._watch is not None
        log_scalars(trainer, {"grad_nonfinite/total": float(non_finite(self._watch.layers)[0])}, self._step + 1)
        if self.on_divergence == "stop":
            self._pending = False
            optimizer.zero_grad(set_to_none=True)  # optimizers leave parameters without a gradient alone

    def _read(self, trainer: Trainer) -> None:
        """Bring the numbers of a logged step over in one transfer, and use them."""
        assert self._meter is not None
        assert self._watch is not None
        assert self.history is not None
        step = self._meter.after(trainer.gradient_clip_val is not None, finds_largest=self.optimizer_steps)
        rates = self._rates.after() if self._rates is not None else []
        activations = self._watch.take()
        waiting = [loss for loss in self._losses if isinstance(loss, Tensor)]
        rms = [value for each in self._rms for value in each.unbind()]
        numbers = iter(to_cpu([self._scale, *step, *rates, *activations, *waiting, *rms]))
        steps = self._meter.read(numbers, scale=next(numbers))
        effective = self._rates.read(numbers) if self._rates is not None else []
        readings = self._watch.read(numbers)
        self._keep_losses([next(numbers) if isinstance(loss, Tensor) else loss for loss in self._losses])
        names = [layer.name for layer in self._watch.layers]
        for number in range(self._step - len(self._rms), self._step):
            self.history.add_layers(number, names, list(islice(numbers, len(names))))
        self._losses, self._rms = [], []
        measures = MEASURES if self._rates is None else {**MEASURES, **STEP_MEASURES}
        values = {tag: [measure(each) if each.entries else None for each in steps] for tag, measure in measures.items()}
        values["lr"] = self._layer_rates
        self.history.add_layers(self._step, names, values["grad_rms"])
        if self._rates is not None and self.step_history is not None:
            values["effective_lr"] = effective
            self.step_history.add(self._step, names, values, self._rates.lr)
        total = {"grad_norm/total": math.hypot(*(each.gradient for each in steps))}
        if trainer.gradient_clip_val is not None:
            total["grad_norm_clipped/total"] = math.hypot(*(each.clipped or 0.0 for each in steps))
        if not math.isfinite(total["grad_norm/total"]):
            total["grad_nonfinite/total"] = float(non_finite(self._watch.layers)[0])
        log_scalars(trainer, {**total, **by_layer(names, values), **by_activation(readings)}, self._step)
        if self._wants_histograms(trainer):
            self._log_histograms(trainer)
        self._judge(trainer, values, readings, total.get("grad_norm_clipped/total", total["grad_norm/total"]))

    def _judge(
        self, trainer: Trainer, values: Mapping[str, list[float | None]], readings: list[Reading], total: float
    ) -> None:
        assert self._watch is not None
        layers = self._watch.layers
        self._check(trainer, total)
        losses, self._read_losses = self._read_losses, []
        if self.diverged_at is not None:
            return
        sight = Sight(
            step=self._step,
            losses=losses,
            layers=[layer.name for layer in layers],
            compared=self._compared,
            rms=values["grad_rms"],
            ratio=values["update_ratio"],
            total=total,
            lr=float(trainer.optimizers[0].param_groups[0]["lr"]),
            activations=readings,
        )
        self._say(trainer, self.verdict.see(sight))

    def _check(self, trainer: Trainer, total: float = 0.0) -> None:
        """Look for losses that were read, or a gradient's norm, that are not finite."""
        assert self._watch is not None
        losses = self._read_losses
        bad = next((row for row, loss in enumerate(losses) if not math.isfinite(loss)), None)
        diverged = bad is not None or not (math.isfinite(total) or _has_scaler(trainer))
        if trainer.world_size > 1:  # all processes stop at the same step
            diverged = trainer.strategy.reduce_boolean_decision(diverged, all=False)
        if self.diverged_at is None and diverged:
            at = self._step if bad is None else self._step - len(losses) + 1 + bad
            names = non_finite(self._watch.layers)[1]
            what = "the gradient is not finite" if bad is None else f"the loss is {losses[bad]}"
            where = f"at step {self._step:,} {len(names)} layers have gradients or weights that are not finite"
            self._diverge(trainer, at, names, f"{what}; {where}")

    def _diverge(self, trainer: Trainer, step: int, layers: list[str], message: str, advice: str | None = None) -> None:
        evidence: dict[str, Any] = {}
        if step == self._step + 1:  # else it was an earlier batch
            evidence = {"epoch": trainer.current_epoch, "batch": self._batch[0]}
            message += f" (epoch {trainer.current_epoch + 1}, batch {self._batch[0] + 1})"
            if (rows := _rows(trainer, self._batch[0])) is not None:
                evidence["rows"] = rows
        self._read_the_losses()
        self._say(trainer, self.verdict.see_divergence(step, layers, message, evidence, advice))
        if self.on_divergence == "stop":
            trainer.should_stop = True

    def _say(self, trainer: Trainer, findings: list[Finding]) -> None:
        for finding in findings:
            if trainer.is_global_zero:
                say(f"finding: {finding}", style="yellow")
            for board in boards(trainer):
                board.experiment.add_text("diagnosis", as_markdown([finding]), trainer.global_step)

    def _read_the_losses(self) -> None:
        waiting = iter(to_cpu([loss for loss in self._losses if isinstance(loss, Tensor)]))
        losses, self._losses = self._losses, []
        self._keep_losses([next(waiting) if isinstance(loss, Tensor) else loss for loss in losses])

    def _keep_losses(self, losses: list[float]) -> None:
        assert self.history is not None
        self.history.add_losses(self._step - len(losses) + 1, losses)
        for kept in (self._read_losses, self._since_validation, self._since_epoch):
            kept += losses

    def _draw(self, trainer: Trainer) -> None:
        if self.history is None or self._picture is None or not self.history.layers:
            return
        for board in boards(trainer):
            picture = self._picture.draw(self.history)
            board.experiment.add_image("gradient_flow", picture, trainer.global_step, dataformats="HWC")
        self._drawn = time.perf_counter()

    def _wants_histograms(self, trainer: Trainer) -> bool:
        return self.histograms and self._epoch_of_histograms != trainer.current_epoch and bool(boards(trainer))

    def _log_histograms(self, trainer: Trainer) -> None:
        assert self._watch is not None
        self._epoch_of_histograms = trainer.current_epoch
        log_histograms(trainer, self._watch.layers, self._watch.outputs(), self._step)

    def _leave(self) -> None:
        if self._watch is not None and self._begun is not None:
            self._watch.close()
            self.seconds += self._watch.seconds
            self.training_seconds += time.perf_counter() - self._begun
            self._begun = None


def _has_scaler(trainer: Trainer) -> bool:
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def _scale_left(trainer: Trainer, optimizer: Optimizer) -> Tensor:
    """What gradients are still multiplied by, (): fused optimizers undo the loss scaling of 16-mixed by themselves."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    fused = getattr(optimizer, "_step_supports_amp_scaling", False)  # the mark that torch's GradScaler goes by
    one = torch.ones((), device=optimizer.param_groups[0]["params"][0].device)
    return one if scaler is None or not fused else scaler.scale(one)  # get_scale() would wait for the device


def _rows(trainer: Trainer, batch_idx: int) -> list[int] | str | None:
    """Which rows of the training set a batch of this epoch has, where the sampler can be asked again."""
    loader = trainer.train_dataloader
    if not isinstance(loader, DataLoader) or not isinstance(loader.sampler, DistributedSampler | SequentialSampler):
        return None
    batches = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    rows: list[int] = torch.as_tensor(next(islice(batches, batch_idx, None), [])).flatten().tolist()
    return "all" if len(rows) == len(loader.dataset) else rows  # type: ignore[arg-type]  # Dataset does not promise a length
