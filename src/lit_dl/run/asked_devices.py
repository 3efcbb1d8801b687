"""Whether this machine has the devices that a config asks for."""

import os

from omegaconf import DictConfig

from lit_dl.errors import CommandError, is_whole, wrong_count

PROCESSES_A_CORE = 8  # trying out DDP without several devices; more would only wait for each other


def check_devices(trainer: DictConfig) -> None:
    """Check accelerator, devices and strategy.

    Raises:
        CommandError: names the key, the value and what is allowed.
    """
    _check_accelerator(trainer.accelerator)
    _check_processes(trainer)
    if any(word in str(trainer.strategy) for word in ("spawn", "fork", "notebook")):
        raise CommandError(
            f"trainer.strategy={trainer.strategy}: its processes keep the results to themselves. Take ddp instead"
        )


def _check_processes(trainer: DictConfig) -> None:
    """On a CPU each device is a process; what starts far more than it has cores never comes to train."""
    from lit_dl.lightning_seams import accelerators

    most = PROCESSES_A_CORE * (os.cpu_count() or 1)
    on_cpu = trainer.accelerator == "cpu" or (trainer.accelerator == "auto" and set(accelerators()[1]) <= {"cpu"})
    devices = trainer.devices
    count = int(devices) if isinstance(devices, str) and devices.isdecimal() else devices
    if on_cpu and devices != "auto" and (wrong := wrong_count(count)):
        raise CommandError(f"trainer.devices={devices}: {wrong}, or auto; on a CPU each is a process of its own")
    if on_cpu and is_whole(count) and count > most:
        raise CommandError(
            f"trainer.devices={devices}: each is a process of its own, and this CPU takes {most} at most"
        )


def _check_accelerator(name: str) -> None:
    from lit_dl.lightning_seams import accelerators

    known, usable = accelerators()
    is_gpu = bool({"cuda", "mps"} & set(usable))
    choices = f"Here it can be auto, {', '.join(usable)}" + (", gpu" if is_gpu else "")
    if name not in known and name not in ("auto", "gpu"):
        raise CommandError(f"trainer.accelerator={name}: no accelerator of Lightning. {choices}")
    if name not in usable and name != "auto" and not (name == "gpu" and is_gpu):
        raise CommandError(f"trainer.accelerator={name}: torch finds none on this machine. {choices}")
