"""What a device is called."""

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
