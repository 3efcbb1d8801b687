"""The devices of this machine that torch can use, and how long they take for something."""

from collections.abc import Callable

import torch
from torch.utils.benchmark import Timer

from lit_dl.devices import device_model

LEAST_SECONDS = 0.2  # of measuring at least, after warming up; what takes longer is measured a few times


def devices() -> list[torch.device]:
    """The CPU, then one accelerator of each name (two of a kind take the same time)."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None:
        return [torch.device("cpu")]
    found = [torch.device(accelerator.type, index) for index in range(torch.accelerator.device_count())]
    return [torch.device("cpu"), *{device_model(device): device for device in reversed(found)}.values()]


def seconds_per_call(call: Callable[[], object]) -> float:
    """Median time of a call, the work of a device included, with as many threads as torch uses now.

    torch's Timer warms up, waits for the device, and repeats calls until the clock is exact.
    """
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return float(timer.blocked_autorange(min_run_time=LEAST_SECONDS).median)
