"""Learning-rate schedules: how long they are and when they advance."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

LENGTHS = ("total_steps", "T_max")  # by these names schedulers ask for the number of steps of the whole training
PEAKS = ("max_lr", "base_lr")  # and by these for rates of which each group of parameters can have its own


def make_scheduler(recipe: Callable[..., Any], optimizer: Optimizer, steps: float) -> tuple[Any, str]:
    """A learning-rate scheduler, and whether it advances every ``"step"`` or every ``"epoch"``.

    One that asks for the length of the training (OneCycleLR, CosineAnnealingLR) gets it in steps and advances at every
    step, any other after every epoch. Groups of parameters with other rates than the first keep their ratio to it.

    Args:
        recipe: makes the scheduler from the optimizer.
        steps: of the optimizer in the whole training; infinite for one without end.

    Raises:
        ValueError: if the scheduler needs the length of a training without end, or cannot keep the groups' ratios.
    """
    lengths = [name for name in LENGTHS if name in inspect.signature(recipe).parameters]
    if lengths and not math.isfinite(steps):
        raise ValueError("this schedule needs the length of the training; set trainer.max_epochs or trainer.max_steps")
    options: dict[str, Any] = {name: int(steps) for name in lengths}
    return recipe(optimizer, **options, **_rates_of_groups(recipe, optimizer)), "step" if lengths else "epoch"


def _rates_of_groups(recipe: Callable[..., Any], optimizer: Optimizer) -> dict[str, list[float]]:
    """The rates that a schedule was given as one number each, as one for each group of parameters, in their ratio."""
    rates = [group["lr"] for group in optimizer.param_groups]
    given = getattr(recipe, "keywords", {})
    if len(set(rates)) == 1:
        return {}
    if given.get("eta_min"):
        raise ValueError(f"eta_min={given['eta_min']} is one floor for layers of different rates; take eta_min=0")
    return {name: [given[name] * rate / rates[0] for rate in rates] for name in PEAKS if name in given}
