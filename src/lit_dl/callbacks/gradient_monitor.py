"""The callback that measures while a Trainer runs, logs, draws and says what is wrong."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from lit_dl.callbacks.monitor_state import MonitorOptions, MonitorState
from lit_dl.callbacks.monitored_training import MonitoredTraining
from lit_dl.callbacks.tensorboard import as_markdown, charts
from lit_dl.console import diagnosis_block, say
from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.optimizer_steps import STEP_MEASURES, StepHistory
from lit_dl.diagnostics.parameters import MEASURES
from lit_dl.layers import Layer
from lit_dl.lightning_seams import is_fitting
from lit_dl.loggers import boards
from lit_dl.plots.training import effective_rates
from lit_dl.records import Advice, Finding
from lit_dl.records.finding import as_torch


def _timed(method: Callable[..., None]) -> Callable[..., None]:
    """Add the time that a hook takes to the monitor's own."""

    @functools.wraps(method)
    def timed(self: "GradientMonitor", *arguments: Any, **options: Any) -> None:
        begun = time.perf_counter()
        try:
            method(self, *arguments, **options)
        finally:
            self._state.seconds += time.perf_counter() - begun

    return timed


class GradientMonitor(Callback):
    """Shows how a network trains: measures each layer, draws where the gradients go, and says what is wrong.

    It works on any LightningModule and finds the layers by itself, in order of use. It measures at the first step and
    every ``log_every_n_steps``:

    - of each layer the measures of ``lit_dl.diagnostics.parameters``, such as ``grad_norm/<nn>_<layer>``,
      ``grad_rms/...`` and ``update_ratio/...``;
    - of each activation ``activation/<nn>_<kind>/{mean,std,saturated,dead}`` (see ``lit_dl.diagnostics.activations``),
      with the number of the layer before it;
    - where layers have learning rates of their own, ``lr/<nn>_<layer>``;
    - of the net ``grad_norm/total``, with clipping ``grad_norm_clipped/total``, and where entries are not finite their
      number, ``grad_nonfinite/total``.

    Gradients are those that the optimizer gets: after the unscaling of mixed precision and, but for the clipped norm,
    before clipping; with accumulation, of the sum over the accumulated batches; under DDP, the synchronised ones, while
    activations and losses are those of the first process. There is one transfer from the device a logged step.

    TensorBoard also gets charts that show all layers at once, the image ``gradient_flow`` and the text ``diagnosis``.
    Findings (``findings``, see ``lit_dl.diagnostics.rules``) are printed once certain, and all at the end.

    A non-finite loss (at a logged step also a gradient) is found on a CPU before the optimizer's step is made,
    elsewhere and under DDP at the next logged step or the end of the epoch.

    Args:
        on_divergence: what to do then: ``"stop"`` training (on a CPU without that step), or ``"continue"``.
        every_step: keep each step's RMS gradients for the pictures, not only those of logged steps.
        histograms: log those of gradients, weights and activations too, at the first logged step of each epoch.
        optimizer_steps: log what the optimizer makes of the gradients too: of each layer ``effective_lr/...``,
            ``step_rms/...`` and ``step_max/...`` (see ``lit_dl.diagnostics.optimizer_steps``), and their picture at the
            end.
        wording: puts advice into words; torch's terms by default, overrides on lit_dl's command line.

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
        wording: Callable[[Sequence[Advice]], str] = as_torch,
    ) -> None:
        if on_divergence not in ("stop", "continue"):
            raise ValueError(f"on_divergence is {on_divergence!r}; it must be stop or continue")
        self.options = MonitorOptions(on_divergence, every_step, histograms, optimizer_steps, wording)
        self._state = MonitorState(optimizer_steps)
        self._restored: dict[str, Any] | None = None  # the state to go on from, until training starts
        self._training: MonitoredTraining | None = None  # that which runs, or ran last; none before the first

    @property
    def findings(self) -> list[Finding]:
        """What was found so far."""
        return self._state.diagnosis.findings

    @property
    def diverged_at(self) -> int | None:
        """The step at which loss or gradient were found not to be finite."""
        return self._state.diagnosis.diverged_at

    @property
    def history(self) -> History | None:
        """Losses and RMS gradients along the steps; None before training starts."""
        return self._state.history if self._training is not None else None

    @property
    def step_history(self) -> StepHistory | None:
        """Effective rates and sizes of steps, if ``optimizer_steps`` are measured."""
        return self._state.step_history

    @property
    def recent(self) -> list[tuple[int, dict[str, float]]]:
        """The newest of the logged steps since training began or was resumed, each with its values by tag."""
        return list(self._state.recent)

    @property
    def layers(self) -> list[Layer]:
        """The network's layers in order of use; none before the first forward pass."""
        return self._training.watch.layers if self._training is not None else []

    @property
    def seconds(self) -> float:
        """What the monitor took, of the time of training."""
        return self._state.seconds

    @property
    def share(self) -> float | None:
        """Of the training time (validation included), what the monitor took; None before it has ended.

        On an accelerator this counts the wait for the device at logged steps, which is more than the monitor's own.
        """
        return self._state.seconds / self._state.training_seconds if self._state.training_seconds else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the hooks on the network and lay out the charts."""
        if trainer.global_step == 0:  # a new training, not one that is resumed
            self._state = MonitorState(self.options.optimizer_steps)
            self._restored = None
        restored, self._restored = self._restored or {}, None
        if restored:
            self._state.load(restored)
        self._training = MonitoredTraining(trainer, pl_module, self._state, self.options)
        if restored.get("under_way") is not None:  # 0.2.0 did not keep it
            self._training.go_on(restored["under_way"])
        of_steps = ("effective_lr", *STEP_MEASURES) if self.options.optimizer_steps else ()
        for board in boards(trainer):
            board.experiment.add_custom_scalars(charts((*MEASURES, *of_steps)))

    # These four run at every step, so they take their time themselves: the wrapper would cost more than they do.

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Watch the forward pass."""
        begun = time.perf_counter()
        self._now.begin_batch(batch, batch_idx)
        self._state.seconds += time.perf_counter() - begun

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """The forward pass is over; look at the loss where that does not wait for a device."""
        begun = time.perf_counter()
        self._now.see_loss(loss)
        self._state.seconds += time.perf_counter() - begun

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure the gradient, and the weights before the step; keep a step from being made that would spoil them."""
        begun = time.perf_counter()
        self._now.begin_step(optimizer)
        self._state.seconds += time.perf_counter() - begun

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss; after a logged step read and log what was measured, and judge it."""
        begun = time.perf_counter()
        self._now.end_batch(outputs)
        self._state.seconds += time.perf_counter() - begun

    @_timed
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare with training, and renew the picture."""
        if is_fitting(trainer):
            self._now.see_validation()

    @_timed
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take in the epoch's mean loss."""
        self._now.end_epoch()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Conclude and take the hooks off."""
        self._state.diagnosis.conclude(trainer.global_step)
        self._now.close()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last picture and print the diagnosis, out of the time of training.

        Where no layer compares with others, as with a point on a surface, nothing but a divergence is looked for.
        """
        if self._restored is not None and trainer.global_step > 0:  # it was stopped after its last step
            self.on_train_start(trainer, pl_module)
            self.on_train_end(trainer, pl_module)
        if self._training is None:
            return
        self._now.picture.draw()
        if not self._state.diagnosis.compares_layers and not self.findings:
            return
        for board in boards(trainer):
            text = as_markdown(self.findings, self.options.wording)
            board.experiment.add_text("diagnosis", text, trainer.global_step)
            if self.step_history is not None and self.step_history.layers:
                board.experiment.add_figure("effective_lr", effective_rates(self.step_history), trainer.global_step)
        if trainer.is_global_zero:
            say(diagnosis_block(self.findings, self.share, self.options.wording), wraps=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the hooks off."""
        if self._training is not None:
            self._training.close()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        if self._training is None:
            return self._state.state(running=0.0)
        return {**self._state.state(self._training.seconds()), "under_way": self._training.under_way()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave, once training does; a checkpoint that is tested changes nothing."""
        self._restored = state_dict

    @property
    def _now(self) -> MonitoredTraining:
        assert self._training is not None, "training has not started"
        return self._training
