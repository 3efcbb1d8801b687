"""Every metric in one place: its name, its title, which way is better, and how it comes of sums over samples.

A metric is added here and nowhere else: sums of a batch on the device, and a value from the sums over a part. It is
then in ``metrics.json``, in TensorBoard, in the tables of runs and reports, and can be what early stopping watches or a
sweep is ranked by. torch is imported inside functions, so that reports, which need names and titles alone, do without.

Sums are kept because an update of torchmetrics' costs 0.8 ms, which is as long as a step of a small MLP takes; the
values are tested against scikit-learn's.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

LOSS = "loss"  # of the objective without penalties; every part has it
PARTS = ("train", "val")  # by which runs are chosen and watched; never the test set


@dataclass(frozen=True)
class Metric:
    """A number about the samples of a part.

    Args:
        name: in tags and files, as ``acc`` in ``val/acc``.
        title: in tables.
        of: what is predicted, classes or numbers.
        is_better_larger: whether the largest value is the best.
        sums: (outputs (N, C), answers, targets) to sums over the N samples, (k,). Answers are the classes that the
            outputs stand for, (N,) int64, or the outputs themselves in double precision.
        value: (sums over all samples (k,), number of samples) to the value; None where it is not defined.
        least_outputs: outputs that a network needs for it to say anything.
        is_brief: whether it is shown while a training goes on, where there is little room.
    """

    name: str
    title: str
    of: Literal["classes", "numbers"]
    is_better_larger: bool
    sums: "Callable[[Tensor, Tensor, Tensor], Tensor]"
    value: "Callable[[np.ndarray, float], float | None]"
    least_outputs: int = 1
    is_brief: bool = True


def _right(outputs: "Tensor", answers: "Tensor", targets: "Tensor") -> "Tensor":
    """Samples whose class is right, (1,)."""
    return (answers == targets).sum().reshape(1)


def _share(sums: "np.ndarray", count: float) -> float:
    return float(sums[0]) / count


def _in_top_5(outputs: "Tensor", answers: "Tensor", targets: "Tensor") -> "Tensor":
    """Samples whose class is among the five with the largest outputs, (1,)."""
    return (outputs.topk(5, dim=1).indices == targets[:, None]).sum().reshape(1)


def _by_class(outputs: "Tensor", answers: "Tensor", targets: "Tensor") -> "Tensor":
    """Of each class the samples that are right, that were taken for it, and that it has, (3 C,)."""
    import torch

    classes = torch.arange(max(outputs.shape[1], 2), device=outputs.device)  # bincount would wait for the device
    taken, true = answers[:, None] == classes, targets[:, None] == classes
    return torch.cat([(taken & true).sum(0), taken.sum(0), true.sum(0)])


def _macro_f1(sums: "np.ndarray", count: float) -> float:
    """Mean over classes of 2 TP / (2 TP + FP + FN); a class that neither occurs nor is predicted does not count."""
    right, taken, true = sums.reshape(3, -1)
    occurs = taken + true > 0
    return float((2 * right[occurs] / (taken + true)[occurs]).mean())


def _absolute_errors(outputs: "Tensor", answers: "Tensor", targets: "Tensor") -> "Tensor":
    """Their sum over samples and targets, and how many there are, (2,)."""
    import torch

    total = (answers - targets).abs().sum()
    return torch.stack([total, torch.full_like(total, targets.numel())])


def _squared_errors(outputs: "Tensor", answers: "Tensor", targets: "Tensor") -> "Tensor":
    """Their sum over samples and targets, and how many there are, (2,)."""
    import torch

    total = (answers - targets).square().sum()
    return torch.stack([total, torch.full_like(total, targets.numel())])


def _of_targets(outputs: "Tensor", answers: "Tensor", targets: "Tensor") -> "Tensor":
    """Of each target the sums of squared errors, of y and of y^2, (3 T,)."""
    import torch

    values = targets.to(answers.dtype)  # double precision, since y^2 - (sum y)^2 / n cancels
    return torch.cat([(answers - targets).square().sum(0), values.sum(0), values.square().sum(0)])


def _r2(sums: "np.ndarray", count: float) -> float | None:
    """R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2, mean over targets; None where a target is constant."""
    squared_errors, values, squares = sums.reshape(3, -1)
    variation = squares - values**2 / count
    if (variation > 1e-12 * squares).all():  # less is rounding
        return float((1 - squared_errors / variation).mean())
    return None


METRICS: tuple[Metric, ...] = (
    Metric("acc", "accuracy", "classes", True, _right, _share),
    Metric("f1", "macro F1", "classes", True, _by_class, _macro_f1, is_brief=False),
    Metric("top5", "top-5 accuracy", "classes", True, _in_top_5, _share, least_outputs=6, is_brief=False),
    Metric("mae", "MAE", "numbers", False, _absolute_errors, lambda sums, count: float(sums[0] / sums[1])),
    Metric("rmse", "RMSE", "numbers", False, _squared_errors, lambda sums, count: math.sqrt(sums[0] / sums[1])),
    Metric("r2", "R²", "numbers", True, _of_targets, _r2),
)
"""In the order in which they are shown."""

TITLES = {LOSS: "loss", **{metric.name: metric.title for metric in METRICS}}
NAMES = tuple(f"{part}/{name}" for name in TITLES for part in PARTS)
"""What can be watched and ranked by."""
FIRST_CHOICES = ("val/acc", "val/r2", "val/loss", "train/loss")  # to rank by, where nothing else is wanted or there


def metrics_of(kind: Literal["classes", "numbers"]) -> list[Metric]:
    """The metrics of a kind of task."""
    return [metric for metric in METRICS if metric.of == kind]


def defined_for(outputs: int, names: Sequence[str]) -> list[str]:
    """Of names such as ``val/top5`` those that say something of a network with so many outputs."""
    without = tuple(f"/{metric.name}" for metric in METRICS if outputs < metric.least_outputs)
    return [name for name in names if not name.endswith(without)]


def is_better_larger(name: str) -> bool:
    """Whether the largest value of a metric such as ``val/acc`` is its best; a loss's is not."""
    return any(metric.is_better_larger for metric in METRICS if name.endswith(f"/{metric.name}"))


def usual_metric(wanted: str, present: Collection[str]) -> str:
    """The metric to rank by: the one wanted or, if no run has it, what there is in its place."""
    return next((name for name in (wanted, *FIRST_CHOICES) if name in present), wanted)


def brief(names: Sequence[str]) -> list[str]:
    """Of names such as ``val/acc`` those that are shown where there is little room."""
    hidden = tuple(f"/{metric.name}" for metric in METRICS if not metric.is_brief)
    return [name for name in names if not name.endswith(hidden)]
