"""Measuring the machine instead of training: ``python -m lit_dl.hardware``, and the experiments that name it."""

import time

from omegaconf import OmegaConf

from lit_dl import records
from lit_dl.console import duration, relative, say
from lit_dl.errors import CommandError, command_errors
from lit_dl.run.objects import build_network, build_task, recipe
from lit_dl.run.request import RunRequest


def measure_hardware(request: RunRequest) -> None:
    """Build what is measured, without a Trainer, measure it, and record what was found.

    Raises:
        CommandError: if it cannot be built, or the measurement's arguments are wrong.
        OSError: if data is missing or the folder cannot be written.
    """
    import torch
    from lightning.pytorch import seed_everything

    cfg, folder, record = request.cfg, request.folder, request.new_record()
    if not OmegaConf.is_dict(cfg.hardware):
        raise CommandError(f"hardware={cfg.hardware}: take experiment=devices or experiment=memory")
    seed_everything(cfg.seed, verbose=False)
    data, network = build_network(cfg)
    task = build_task(request, data, network)
    data.prepare_data()
    with command_errors("data"):
        data.setup()
    record.data = data.described()
    begun = time.perf_counter()
    with command_errors("hardware"):
        own = {"activation": recipe(cfg.activation)} if "activation" in cfg.hardware else {}  # a layer's, to be made
        record.metrics = dict(recipe(cfg.hardware)(task, data, folder, **own))
    record.status, record.stop_reason = "completed", "measured; nothing was trained"
    record.seconds = time.perf_counter() - begun
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    record.environment = records.describe_environment(str(device))  # the CPU is measured beside it
    records.write_run(record, folder)
    say(f"\ncompleted: {record.stop_reason}; {duration(record.seconds)}\nrun folder   {relative(folder)}")
