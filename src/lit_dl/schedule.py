"""Learning-rate schedules: how long they are and when they advance."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

LENGTHS = ("total_steps", "T_max")  # by these names schedulers ask for the number of steps of the whole training


def make_scheduler(recipe: Callable[..., Any], optimizer: Optimizer, steps: float) -> tuple[Any, str]:
    """A learning-rate scheduler, and whether it advances every ``"step"`` or every ``"epoch"``.

    One that asks for the length of the training (OneCycleLR, CosineAnnealingLR) gets it in steps and advances at every
    step, any other after every epoch.

    Args:
        recipe: makes the scheduler from the optimizer.
        steps: of the optimizer in the whole training; infinite for one without end.

    Raises:
        ValueError: if the scheduler needs the length of a training without end.
    """
    lengths = [name for name in LENGTHS if name in inspect.signature(recipe).parameters]
    if lengths and not math.isfinite(steps):
        raise ValueError("this schedule needs the length of the training; set trainer.max_epochs or trainer.max_steps")
    return recipe(optimizer, **{name: int(steps) for name in lengths}), "step" if lengths else "epoch"
