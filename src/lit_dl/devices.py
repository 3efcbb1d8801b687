"""What a device is called, and how much memory there is."""

import ctypes
import os
import sys

import torch


def describe_device(device: torch.device) -> str:
    """A device with the name of its model, as in ``cuda:0 (NVIDIA H100)``; of the CPU the threads that torch uses."""
    if device.type == "cpu":
        count = torch.get_num_threads()
        return f"cpu ({count} thread{'s' if count > 1 else ''})"
    model = device_model(device)
    return f"{device} ({model})" if model else str(device)


def device_model(device: torch.device) -> str:
    """The name of a device's model; empty where torch does not tell it."""
    module = torch.get_device_module(device)
    return str(module.get_device_name(device)) if hasattr(module, "get_device_name") else ""


def check_memory(what: str, size: float, advice: str) -> None:
    """Raise a ValueError if ``size`` bytes are more than this machine has."""
    if (memory := machine_memory()) is not None and size > memory:
        raise ValueError(f"{what} would take {_gib(size)}, and this machine has {_gib(memory)}. {advice}")


def machine_memory() -> int | None:
    """Bytes of this machine's own memory, whoever uses them now; None where the system does not say."""
    if sys.platform != "win32":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = ctypes.c_ulonglong()
    known = ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return kilobytes.value * 1024 if known else None


def _gib(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"
