"""Ask, build, fit, test, record: ``python -m lit_dl.train [group=choice] [key=value] ...``.

torch and lightning are imported inside functions, after the config is composed, so that ``--help``, ``--cfg job`` and a
misspelt override answer within a second.
"""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from lit_dl import records
from lit_dl.cli.disk import BOARD, lost
from lit_dl.cli.main import run_command
from lit_dl.cli.process import undisturbed
from lit_dl.cli.values import check_values
from lit_dl.console import console, relative, say, start_block
from lit_dl.errors import CommandError, command_errors
from lit_dl.run import build as builder
from lit_dl.run.build import Run, build
from lit_dl.run.finish import finish, tell, write_record
from lit_dl.run.heading import heading
from lit_dl.run.measure import measure_hardware
from lit_dl.run.request import RunRequest
from lit_dl.run.resumption import check_unfinished
from lit_dl.shell import join


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``lit-dl``; gives the exit code."""
    return run_command(train, arguments, try_out)


def train(request: RunRequest) -> None:
    """One run: from what was asked for to its run folder.

    Raises:
        CommandError: if the config asks for what cannot be had; nothing has been trained then.
        OSError: if data is missing or a folder cannot be written.
    """
    record, run = request.new_record(), None
    try:
        ask(request)
        if request.cfg.hardware is not None:
            measure_hardware(request)
            return
        with _boards_may_fail(request):
            run = build(request)
            prepare(request, run, record)
            fit(request, run, record)
            records.check_there(request.folder)  # or what is written next would make it anew
            test(run, record)
            finish(request, run, record)
    except BaseException as error:
        give_up(request, run, record, error)
        raise
    tell(request, run, record)


def try_out(request: RunRequest) -> list[str]:
    """See whether a job of a sweep can be, as far as its config and its objects tell; its data is not loaded.

    Returns:
        the metrics that it would have; none where nothing is trained.

    Raises:
        CommandError: if it cannot be.
        OSError: if a file is missing that tells the shape of the data.
    """
    ask(request)
    return builder.try_out(request) if request.cfg.hardware is None else []


def ask(request: RunRequest) -> None:
    """Whether what was asked for can be had, as far as the config alone tells.

    Raises:
        CommandError: if not.
    """
    try:
        check_values(request.cfg)
        if request.cfg.resume is not None:
            check_unfinished(request)
    except ValueError as error:
        raise CommandError(str(error)) from error
    from lit_dl.lightning_seams import be_quiet

    console.quiet = be_quiet() or console.quiet


def prepare(request: RunRequest, run: Run, record: records.RunRecord) -> None:
    """Load the data, write down what is trained on, and say what is going to run.

    Raises:
        CommandError: if data and config do not go together.
        OSError: if data is missing.
    """
    _check_devices(request, run)
    run.data.prepare_data()
    with command_errors("data"):
        run.data.setup()
    record.data = run.data.described()
    say(start_block(heading(request, run), run.layers))


def fit(request: RunRequest, run: Run, record: records.RunRecord) -> None:
    """Train, from the last checkpoint if a run is resumed, and record how it went.

    Raises:
        CommandError: if Lightning finds that the trainer's arguments do not go with the data.
        KeyboardInterrupt: if the user or the system stopped it.
    """
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from lit_dl.lightning_seams import interruptions

    try:
        with interruptions():
            run.trainer.fit(run.task, datamodule=run.data, ckpt_path=None if run.start is None else str(run.start.path))
    except MisconfigurationException as error:  # what Lightning can tell only with the data at hand
        raise CommandError(f"trainer: {error}") from error
    except ValueError as error:
        if "val_check_interval" not in str(error):
            raise
        raise CommandError(
            f"trainer.val_check_interval={request.cfg.trainer.val_check_interval}: an epoch has fewer batches. Take at "
            "most as many, a share of an epoch such as 0.5, or null for once an epoch"
        ) from error
    record.status, record.stop_reason = _how_it_ended(run)


def test(run: Run, record: records.RunRecord) -> None:
    """Validate and test the last parameters or, with early stopping, the best ones; never diverged ones.

    They are evaluated on the training part too, since ``train/*`` is of parameters that moved, with dropout; on as many
    batches of it as ``trainer.limit_val_batches`` lets validation have.
    """
    if record.status == "diverged" or "test" not in run.data.sizes():
        return
    best = run.best.best_model_path if run.early_stopping is not None and run.best is not None else ""
    if best and records.is_damaged(Path(best)):
        say(f"{best} is damaged: the last parameters are evaluated instead of the best", style="yellow")
        best = ""
    loaders = run.data.evaluation_dataloaders()
    run.trainer.validate(run.task, dataloaders=loaders, ckpt_path=best or None, verbose=False)
    run.trainer.test(run.task, datamodule=run.data, verbose=False)


def give_up(request: RunRequest, run: Run | None, record: records.RunRecord, error: BaseException) -> None:
    """Leave what is known of a run that broke off; or, of one that was to go on and got no further, what was there."""
    goes_on = request.cfg.resume is not None
    if goes_on and (run is None or run.continuation.waits):
        if run is not None:
            run.continuation.withdraw()
        if not request.is_job or (request.folder / records.METRICS_FILE).exists():
            return
    if isinstance(error, CommandError):
        return
    interrupted = isinstance(error, KeyboardInterrupt)
    record.status = "interrupted" if interrupted else "failed"
    record.stop_reason = "stopped by the user" if interrupted else str(error) or type(error).__name__
    lost.give_up()
    with undisturbed():  # at once: a full disk may have room for it, and a user may not want to wait for pictures
        write_record(request, run, record)
    if run is not None:
        with _boards_may_fail(request):
            finish(request, run, record)
        tell(request, run, record)
        if interrupted and not request.is_job and records.whole_checkpoints(request.folder)[0]:
            say(f"go on        python -m lit_dl.train {join([f'resume={relative(request.folder)}'])}")


def _boards_may_fail(request: RunRequest) -> AbstractContextManager[None]:
    """TensorBoard's curves are no reason to lose a training."""
    from lit_dl.tensorboard_seams import boards_may_fail

    return boards_may_fail(lambda error: lost.note(BOARD, error, request.folder))


def _check_devices(request: RunRequest, run: Run) -> None:
    """Whether the processes that are there, or will be, are those of one training.

    Lightning starts DDP's processes with the command of the one it is in, and a launcher's have another one. Processes
    that torchrun or srun started would train one by one, each for itself, if Lightning did not count on them.
    """
    if (started := records.started_processes()) > 1 and run.trainer.world_size != started:
        raise CommandError(
            f"{started} processes were started for this run, but trainer.devices={request.cfg.trainer.devices} times "
            f"trainer.num_nodes={request.cfg.trainer.num_nodes} are {run.trainer.world_size}. Let both be the same"
        )
    if request.is_job and request.launcher != "basic" and run.trainer.world_size > 1:
        raise CommandError(
            f"trainer.devices={request.cfg.trainer.devices}: hydra/launcher={request.launcher} starts each job in a "
            "process of its own, which cannot share it among devices. Take trainer.devices=1, or hydra/launcher=basic"
        )


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
    from lit_dl import train as command  # by its own name, under which a launcher's processes find its function

    sys.exit(command.main())
