"""Where the sources of random numbers stand: kept before each forward pass, and put back to repeat one."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

States = dict[str, Any]
"""By source, ``cpu``, the device's kind, ``python`` and ``numpy``, what that source calls its state."""


class RandomStates:
    """Takes the states of the sources that a training uses.

    torch's take a microsecond and are always taken. Python's and numpy's take up to fifty, and few networks draw from
    them: they are taken until the end of the first pass, and from then on if that pass moved them.

    Args:
        device: on which the training is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._takes_others = True
        self._is_settled = False  # whether the first pass is over

    def take(self) -> States:
        """Where each source stands now."""
        states: States = {"cpu": torch.get_rng_state()}
        if self._device.type != "cpu" and hasattr(module := torch.get_device_module(self._device), "get_rng_state"):
            states[self._device.type] = module.get_rng_state(self._device)
        if self._takes_others:
            states |= {"python": random.getstate(), "numpy": np.random.get_state()}
        return states

    def end_pass(self, before: States) -> None:
        """A forward pass is over, which began at the states ``before``."""
        if not self._is_settled:
            self._is_settled = True
            is_moved = random.getstate() != before["python"] or _differ(np.random.get_state(), before["numpy"])
            self._takes_others = is_moved


def put_back(states: Mapping[str, Any]) -> None:
    """Let the sources stand where they stood; a device's that is not here is left out.

    Raises:
        TypeError, ValueError, RuntimeError: for what is no state of such a source.
    """
    torch.set_rng_state(states["cpu"].cpu())
    for kind, state in states.items():
        if kind == "python":
            version, numbers, spare = state
            random.setstate((version, tuple(numbers), spare))
        elif kind == "numpy":
            name, numbers, *rest = state
            np.random.set_state((name, np.asarray(numbers, dtype=np.uint32), *rest))
        elif kind != "cpu" and is_here(kind):
            torch.get_device_module(kind).set_rng_state(state.cpu())


def is_here(kind: str) -> bool:
    """Whether this machine has a device of that kind, such as ``cuda``."""
    own = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return kind == "cpu" or (own is not None and own.type == kind)


def _differ(one: Any, other: Any) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))
