"""The filters of a convolutional network, and what they make of a sample, drawn when it has trained."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from torch import Tensor, nn

from lit_dl.layers import evaluating, layers_of, looking_at, owners_of_parameters
from lit_dl.loggers import boards
from lit_dl.plots.canvas import save_figure
from lit_dl.plots.feature_maps import feature_maps, filters


class FeatureMaps(Callback):
    """At the end of training, draws the filters of the first ``nn.Conv2d`` and what each makes of a validation sample.

    It works on any LightningModule that takes the first part of a batch as its input; without an ``nn.Conv2d`` it does
    nothing, without validation it draws the filters alone. TensorBoard gets the images ``filters`` (at the start of
    training and now) and ``feature_maps``; the sample is the first of the validation part.

    Args:
        folder: where ``filters.png`` and ``feature_maps.png`` are written; None for TensorBoard alone.

    Example:
        >>> trainer = Trainer(callbacks=[FeatureMaps()])  # doctest: +SKIP
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._before: tuple[int, Tensor] | None = None  # the step with which training began, and the filters then
        self._sample: Tensor | None = None  # (1, *in_shape)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the filters as they are before the first step; of a training that goes on, they are kept already."""
        convolutions = _convolutions(pl_module)
        if trainer.global_step == 0 or self._before is None:
            self._before = (trainer.global_step, convolutions[0].weight.detach().clone()) if convolutions else None

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keep the first sample."""
        if self._sample is None:
            inputs = batch[0] if isinstance(batch, list | tuple) else batch
            self._sample = inputs[:1].detach().clone() if isinstance(inputs, Tensor) else None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, out of the time of training."""
        if self._before is None or not trainer.is_global_zero:
            return
        start, before = self._before
        now = _convolutions(pl_module)[0].weight
        self._show(trainer, "filters", filters({f"step {start:,}": before, f"step {trainer.global_step:,}": now}))
        if self._sample is not None:
            sample = self._sample.to(pl_module.device)
            self._show(trainer, "feature_maps", feature_maps(sample[0], maps_of(pl_module, sample)))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run draws from."""
        return {} if self._before is None else {"before": self._before, "sample": self._sample}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        self._before, self._sample = state_dict["before"], state_dict["sample"]

    def _show(self, trainer: Trainer, name: str, figure: Figure) -> None:
        if self.folder is not None:
            save_figure(figure, self.folder / f"{name}.png")
        for board in boards(trainer):
            board.experiment.add_figure(name, figure, trainer.global_step, close=False)


def maps_of(network: nn.Module, sample: Tensor) -> dict[str, Tensor]:
    """What each ``nn.Conv2d`` gives for a sample in evaluation mode, by its name, in order of use.

    Args:
        sample: (1, *in_shape).

    Returns:
        (channels, height, width) by names such as 01_conv2d, as ``lit_dl.layers.layers_of`` has them.
    """
    outputs: dict[nn.Module, Any] = {}
    look = looking_at(owners_of_parameters(network), lambda module, inputs, output: outputs.update({module: output}))
    with evaluating(network), look, torch.compiler.set_stance("force_eager"):  # what is compiled would not call hooks
        network(sample)
    names = {layer.module: layer.name for layer in layers_of(network, list(outputs))}
    return {names[module]: outputs[module][0] for module in outputs if isinstance(module, nn.Conv2d)}


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]
