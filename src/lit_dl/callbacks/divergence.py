"""Where a loss or a gradient stopped being finite: the step, the layer, the batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

from lit_dl.diagnostics.activations import ForwardWatch
from lit_dl.diagnostics.parameters import non_finite
from lit_dl.layers import Layer
from lit_dl.lightning_seams import norms
from lit_dl.records import Advice

OVERFLOW = "each entry of the gradient is finite, but so large that its norm, a root of a sum of squares, is not"


@dataclass
class Divergence:
    """What is known of it."""

    step: int  # the first that is not finite
    layers: list[str]
    message: str
    advice: tuple[Advice, ...] | None = None  # None: the rules have to say
    evidence: dict[str, Any] = field(default_factory=dict)

    def add_batch(self, trainer: Trainer, batch_idx: int) -> None:
        """Tell the batch that it was seen in."""
        self.evidence = {"epoch": trainer.current_epoch, "batch": batch_idx}
        self.message += f" (epoch {trainer.current_epoch + 1}, batch {batch_idx + 1})"
        if (rows := rows_in_batch(trainer, batch_idx)) is not None:
            self.evidence["rows"] = rows


def of_forward_pass(watch: ForwardWatch, batch: Any, loss: float, step: int) -> Divergence:
    """A loss that is not finite: the inputs, or the first layer from which it comes when the batch passes again."""
    inputs = batch[0] if isinstance(batch, list | tuple) else batch
    if isinstance(inputs, Tensor) and not inputs.isfinite().all():
        return Divergence(step, [], f"the loss is {loss}; inputs of the batch are not finite either", advice=())
    first = watch.first_non_finite(inputs)
    where = f"; {first} is the first layer whose output is not finite" if first else ""
    return Divergence(step, [first] if first else [], f"the loss is {loss}{where}")


def of_gradient(layers: Sequence[Layer], step: int) -> Divergence:
    """A gradient that is not finite, before the optimizer's step is made."""
    count, names = non_finite(layers)
    if not count:
        return Divergence(step, _overflowing(layers), OVERFLOW)
    return Divergence(step, names, f"{count:,} entries of the gradient are not finite")


def of_what_was_read(layers: Sequence[Layer], losses: Sequence[float], step: int) -> Divergence:
    """A loss that is not finite among those of the steps up to ``step``, or else the gradient of that step."""
    bad = next((row for row, loss in enumerate(losses) if not math.isfinite(loss)), None)
    at = step if bad is None else step - len(losses) + 1 + bad
    names = non_finite(layers)[1]
    if bad is None and not names:
        return Divergence(at, _overflowing(layers), OVERFLOW)
    what = "the gradient is not finite" if bad is None else f"the loss is {losses[bad]}"
    found = f"{len(names)} layers have gradients or weights that are not finite"
    where = found if names else "all gradients and weights are finite"
    return Divergence(at, names, f"{what}; at step {step:,} {where}")


def _overflowing(layers: Sequence[Layer]) -> list[str]:
    """The layers whose gradient has a norm that is not finite."""
    return [layer.name for layer in layers if any(not norm.isfinite() for norm in norms(_gradients(layer)))]


def _gradients(layer: Layer) -> list[Tensor]:
    return [p.grad.coalesce().values() if p.grad.is_sparse else p.grad for p in layer.parameters if p.grad is not None]


def rows_in_batch(trainer: Trainer, batch_idx: int) -> list[int] | str | None:
    """Which rows of the training set a batch of this epoch has, where the sampler can be asked again."""
    rows = row_numbers(trainer, batch_idx)
    if rows is None:
        return None
    return "all" if len(rows) == len(trainer.train_dataloader.dataset) else rows.tolist()  # type: ignore[union-attr]  # it has rows


def row_numbers(trainer: Trainer, batch_idx: int) -> Tensor | None:
    """Those rows, (B,) int64, in the order of the batch."""
    asked = _asked(trainer, batch_idx)
    return None if asked is None else torch.as_tensor(asked).flatten()


def gathered(trainer: Trainer, batch_idx: int) -> Any:
    """A batch of this epoch, gathered again; None where the loader does not gather whole batches by their rows."""
    asked, loader = _asked(trainer, batch_idx), trainer.train_dataloader
    whole = isinstance(loader, DataLoader) and loader.batch_sampler is None
    return loader.dataset[asked] if whole and asked is not None else None  # type: ignore[union-attr]  # it is one


def _asked(trainer: Trainer, batch_idx: int) -> Any:
    """What the sampler says for a batch, where it can be asked again; else None."""
    loader = trainer.train_dataloader
    if not isinstance(loader, DataLoader) or not isinstance(loader.sampler, DistributedSampler | SequentialSampler):
        return None
    batches = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    return next(islice(batches, batch_idx, None), None)
