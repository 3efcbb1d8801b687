"""The devices of this machine that torch can use, and how long they take for something."""

import time
from collections.abc import Callable
from statistics import median

import torch

WARM_UP = 3  # calls before those that count: libraries choose their kernels, caches fill
ROUNDS = 5  # of which the median counts
SECONDS_A_ROUND = 0.04  # at least: a hundred times what starting a clock and waiting for a device take


def devices() -> list[torch.device]:
    """The CPU, then one accelerator of each name (two of a kind take the same time)."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None:
        return [torch.device("cpu")]
    found = [torch.device(accelerator.type, index) for index in range(torch.accelerator.device_count())]
    return [torch.device("cpu"), *{_model(device): device for device in reversed(found)}.values()]


def describe(device: torch.device) -> str:
    """A device with the name of its model, as in ``cuda:0 (NVIDIA H100)``; of the CPU the threads that torch uses."""
    if device.type == "cpu":
        count = torch.get_num_threads()
        return f"cpu ({count} thread{'s' if count > 1 else ''})"
    model = _model(device)
    return f"{device} ({model})" if model else str(device)


def seconds_per_call(call: Callable[[], object], device: torch.device) -> float:
    """Median over rounds of calls, each of which waits until the device has done its work."""
    count = 1
    for _ in range(WARM_UP):
        taken = _seconds(call, 1, device)
        if taken > 10 * SECONDS_A_ROUND:  # it is slow enough that warming up makes no difference
            break
    count = max(1, round(SECONDS_A_ROUND / max(taken, 1e-6)))
    rounds = ROUNDS if taken < 10 * SECONDS_A_ROUND else 2
    return median(_seconds(call, count, device) / count for _ in range(rounds))


def _seconds(call: Callable[[], object], count: int, device: torch.device) -> float:
    _wait_for(device)
    begun = time.perf_counter()
    for _ in range(count):
        call()
    _wait_for(device)
    return time.perf_counter() - begun


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _model(device: torch.device) -> str:
    module = torch.get_device_module(device)
    return str(module.get_device_name(device)) if hasattr(module, "get_device_name") else ""
