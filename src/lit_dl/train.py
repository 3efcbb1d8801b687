"""Compose, build, fit, test, record: ``python -m lit_dl.train [group=choice] [key=value] ...``.

torch and lightning are imported inside functions, after the config is composed, so that ``--help``, ``--cfg job`` and a
misspelt override answer within a second.
"""

import logging
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from lit_dl import records
from lit_dl.build import Run, build, build_benchmark
from lit_dl.checks import CommandError, check_values
from lit_dl.command import command_errors, run_command
from lit_dl.console import console, duration, relative, say, start_block
from lit_dl.facts import facts_of
from lit_dl.job import in_sweep
from lit_dl.outcome import conclude

# Lightning's remarks on what is meant so here: data in memory needs no workers, metrics are reduced before they are
# logged, a resumed run finds its own checkpoints and may leave early stopping out, a short run has few steps to log.
# The last is between Lightning and torch.
KNOWN_REMARKS = (
    ".*does not have many workers.*",
    ".*sync_dist=True.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*Trainer.test.*DistributedSampler.*|.*DistributedSampler.*Trainer.*",
    ".*isinstance.treespec, LeafSpec.*",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``lit-dl``; gives the exit code."""
    return run_command(job, arguments)


def job(cfg: DictConfig, folder: Path) -> None:
    """One run: from its config to its run folder.

    Raises:
        CommandError: if the config asks for what cannot be had; nothing has been trained then.
        OSError: if data is missing or a folder cannot be written.
    """
    config = HydraConfig.get()
    record = records.Record("failed", "", overrides=list(config.overrides.task))
    record.choices = records.named_choices(config.runtime.choices)
    run = None
    try:
        try:
            check_values(cfg)
            if cfg.resume is not None:
                _check_unfinished(cfg, folder)
        except ValueError as error:
            raise CommandError(str(error)) from error
        _quiet()
        run = build(cfg, folder)
        _check_devices(cfg, run)
        run.data.prepare_data()
        with command_errors("data"):
            run.data.setup()
        record.data = {"name": run.data.name, **run.data.sizes(), "sha256": run.data.sha256}
        if cfg.resume is not None:
            records.write_config(OmegaConf.to_yaml(cfg), record.overrides, folder)
        say(start_block(facts_of(cfg, run, folder), run.layers))
        if (benchmark := build_benchmark(cfg)) is not None:
            measure(benchmark, run, record, folder)
            return
        fit(run, record, records.last_checkpoint(folder) if cfg.resume is not None else None)
        test(run, record)
        conclude(cfg, run, folder, record)
    except CommandError:
        raise
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        record.status = "interrupted" if interrupted else "failed"
        record.stop_reason = "stopped by the user" if interrupted else str(error) or type(error).__name__
        conclude(cfg, run, folder, record)
        raise


def measure(benchmark: Callable[..., dict[str, float]], run: Run, record: records.Record, folder: Path) -> None:
    """Measure the machine instead of training, and record what was found.

    Raises:
        CommandError: if the benchmark's arguments are wrong.
    """
    begun = time.perf_counter()
    try:
        record.metrics = dict(benchmark(run.task, run.data, folder))
    except (ValueError, TypeError) as error:
        raise CommandError(f"benchmark: {error}") from error
    record.status, record.stop_reason = "completed", "measured; nothing was trained"
    record.seconds = time.perf_counter() - begun
    record.environment = records.environment(str(run.trainer.strategy.root_device))
    records.write(record, folder)
    say(f"\ncompleted: {record.stop_reason}; {duration(record.seconds)}\nrun folder   {relative(folder)}")


def fit(run: Run, record: records.Record, checkpoint: Path | None) -> None:
    """Train, from a checkpoint if one is given, and record how it went.

    Raises:
        CommandError: if Lightning finds that the trainer's arguments do not go with the data.
        KeyboardInterrupt: if the user or the system stopped it.
    """
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        run.trainer.fit(run.task, datamodule=run.data, ckpt_path=None if checkpoint is None else str(checkpoint))
    except MisconfigurationException as error:  # what Lightning can tell only with the data at hand
        raise CommandError(f"trainer: {error}") from error
    except SystemExit as leaving:  # so Lightning answers Ctrl-C and SIGTERM, deaf to Ctrl-C from then on
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from leaving
    record.status, record.stop_reason = _how_it_ended(run)


def test(run: Run, record: records.Record) -> None:
    """Validate and test the last parameters or, with early stopping, the best ones; never diverged ones.

    They are evaluated on the training part too, since ``train/*`` is of parameters that moved, with dropout; on as many
    batches of it as ``trainer.limit_val_batches`` lets validation have.
    """
    if record.status == "diverged" or "test" not in run.data.sizes():
        return
    best = run.best.best_model_path if run.early_stopping is not None and run.best is not None else ""
    if best or run.task.validated_at != run.trainer.global_step:  # the same parameters are validated and tested
        run.trainer.validate(run.task, datamodule=run.data, ckpt_path=best or None, verbose=False)
    run.trainer.test(run.task, datamodule=run.data, verbose=False)
    run.task.validates = "train_eval"
    run.trainer.validate(run.task, dataloaders=run.data.train_eval_dataloader(), verbose=False)


def _check_unfinished(cfg: DictConfig, folder: Path) -> None:
    with suppress(FileNotFoundError):  # a run that was killed
        record, epochs = records.read(folder), cfg.trainer.max_epochs
        if record.status == "diverged":
            raise ValueError(
                f"resume={cfg.resume}: it diverged, and would again. Its diagnosis says what to try instead"
            )
        if record.status == "early_stopped" and cfg.early_stopping is not None:
            raise ValueError(f"resume={cfg.resume}: it was stopped early. To go on all the same: early_stopping=off")
        if record.status == "completed" and 0 < epochs <= record.epochs:
            raise ValueError(
                f"resume={cfg.resume}: its {record.epochs} epochs are done. For more: trainer.max_epochs=N"
            )


def _check_devices(cfg: DictConfig, run: Run) -> None:
    """Lightning starts DDP's processes with the command of the one it is in, and a launcher's have another one."""
    launcher = HydraConfig.get().runtime.choices["hydra/launcher"]
    if in_sweep() and launcher != "basic" and run.trainer.world_size > 1:
        raise CommandError(
            f"trainer.devices={cfg.trainer.devices}: hydra/launcher={launcher} starts each job in a process of its "
            "own, which cannot share it among devices. Take trainer.devices=1, or hydra/launcher=basic"
        )


def _quiet() -> None:
    """Leave the terminal to what lit_dl says: Lightning's info lines and the remarks that do not apply here go."""
    from lightning.pytorch.utilities import rank_zero_only

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for remark in KNOWN_REMARKS:
        warnings.filterwarnings("ignore", remark)
    console.quiet = console.quiet or getattr(rank_zero_only, "rank", 0) != 0


def _how_it_ended(run: Run) -> tuple[records.Status, str]:
    trainer, stopping = run.trainer, run.early_stopping
    found = None if run.monitor is None else run.monitor.diverged_at
    if (step := run.task.diverged_at if found is None else found) is not None:
        kept = run.best is not None and run.best.last.is_file()
        where = f"; the last finite parameters are in {records.CHECKPOINTS}/{records.LAST}.ckpt" if kept else ""
        return "diverged", f"loss or gradient not finite at step {step:,}{where}"
    if stopping is not None and stopping.wait_count >= stopping.patience:
        return (
            "early_stopped",
            f"{stopping.monitor} did not improve on {stopping.best_score:.4f} in {stopping.patience} epochs",
        )
    if trainer.max_epochs is not None and trainer.current_epoch == trainer.max_epochs:
        return "completed", f"trainer.max_epochs={trainer.max_epochs} reached"
    if trainer.global_step == trainer.max_steps:
        return "completed", f"trainer.max_steps={trainer.max_steps} reached"
    return "completed", "trainer.max_time reached" if trainer.should_stop else "the trainer stopped"


if __name__ == "__main__":
    from lit_dl import train  # by its own name, under which a launcher's processes find the job

    sys.exit(train.main())
