"""The callback that measures gradients while a Trainer runs."""

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.optim import Optimizer

from lit_dl.diagnostics.measures import Layer, entries, gradient_norms, layers_of

# TensorBoard's custom scalars: all layers of a measure in one chart. Patterns instead of the layers' names make the
# layout the same for every run, so that runs share the charts.
CHARTS = {
    "gradients": {
        "gradient norm of each layer": ["Multiline", [r"grad_norm/\d.*"]],
        "RMS gradient of each layer": ["Multiline", [r"grad_rms/.*"]],
    }
}


class GradientMonitor(Callback):
    """Logs each layer's gradient, for any LightningModule, at the first step and every ``log_every_n_steps``.

    Tags: ``grad_norm/<nn>_<layer>`` (L2 norm), ``grad_rms/<nn>_<layer>`` (norm divided by the square root of the
    number of entries, comparable between layers), ``grad_norm/total`` and, with clipping, ``grad_norm_clipped/total``
    (what clipping left). Norms are those of the gradient that the optimizer gets: after the unscaling of mixed
    precision and, but for the last one, before clipping; with accumulation, of the sum over the accumulated batches.
    Layers without a gradient, such as frozen ones, are left out of a step.
    In TensorBoard's custom scalars one chart shows all layers. One transfer from the device a logged step.

    Example:
        >>> trainer = Trainer(callbacks=[GradientMonitor()])  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []  # found when training starts
        self._measured_at = 0  # the step whose gradient was logged last
        self._clipped_at = 0  # the step whose gradient after clipping was logged last

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the layers and lay out the charts."""
        self.layers = layers_of(pl_module)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.experiment.add_custom_scalars(CHARTS)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure and log, at logged steps."""
        step = trainer.global_step + 1  # the step that is about to be made
        if step == self._measured_at or not is_logged_step(trainer, step):
            return
        self._measured_at = step  # optimizers such as LBFGS ask for the gradient of a step several times
        norms = (gradient_norms(self.layers) / _scale_left(trainer, optimizer)).tolist()
        values = {"grad_norm/total": math.sqrt(sum(norm**2 for norm in norms))}
        for layer, norm in zip(self.layers, norms, strict=True):
            if count := entries(layer):
                values[f"grad_norm/{layer.name}"] = norm
                values[f"grad_rms/{layer.name}"] = norm / math.sqrt(count)
        self._log(trainer, values, step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure what clipping left: the gradient stays in place until the next batch."""
        step = trainer.global_step
        clips = trainer.gradient_clip_val is not None
        if clips and step != self._clipped_at and is_logged_step(trainer, step):
            self._clipped_at = step
            total = torch.linalg.vector_norm(gradient_norms(self.layers))
            self._log(trainer, {"grad_norm_clipped/total": total.item()}, step)

    def _log(self, trainer: Trainer, values: dict[str, float], step: int) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step)


def is_logged_step(trainer: Trainer, step: int) -> bool:
    """Whether something is logged after ``step`` optimizer steps: the first, and each ``log_every_n_steps``-th."""
    every = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set where mypy does not look
    return step == 1 or (step > 0 and every > 0 and step % every == 0)


def _scale_left(trainer: Trainer, optimizer: Optimizer) -> float:
    """What gradients are still multiplied by: fused optimizers undo the loss scaling of 16-mixed by themselves."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    fused = getattr(optimizer, "_step_supports_amp_scaling", False)  # the mark that torch's GradScaler goes by
    return scaler.get_scale() if scaler is not None and fused else 1.0
