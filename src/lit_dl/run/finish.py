"""What a run leaves in its folder when it ends, however it does."""

from pathlib import Path

from lit_dl import records
from lit_dl.console import result_block, say
from lit_dl.run.build import Run
from lit_dl.run.heading import hyperparameters
from lit_dl.run.request import RunRequest

FLOW_COLUMNS = 100  # of the gradient flow in curves.json


def finish(request: RunRequest, run: Run | None, record: records.RunRecord) -> None:
    """Write what is known now: curves, figures, TensorBoard's HParams, and last the record, so that it stands for all.

    Args:
        request: what was asked for.
        run: None if nothing could be built.
        record: with how the run ended; the rest is filled in.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = request.folder
    try:
        if run is not None and run.trainer.is_global_zero and run.trainer.global_step:
            run.continuation.take_over()
            curves = _curves(run)
            records.write_curves(curves, folder)
            _draw(run, folder)
            _draw_trajectory(request, run, curves)
            _log_settings(request, run, fill(record, run, folder))
    finally:
        write_record(request, run, record)


def write_record(request: RunRequest, run: Run | None, record: records.RunRecord) -> None:
    """Write ``metrics.json``, from the process that writes.

    Raises:
        OSError: if the folder cannot be written.
    """
    if run is None:
        if records.is_first():
            records.write_run(record, request.folder)
    elif run.trainer.is_global_zero:
        records.write_run(fill(record, run, request.folder), request.folder)


def fill(record: records.RunRecord, run: Run, folder: Path) -> records.RunRecord:
    """The record with all that the run has to tell."""
    trainer = run.trainer
    record.metrics = dict(run.task.metrics)
    record.epochs, record.steps = trainer.current_epoch, trainer.global_step
    record.seconds = run.task.seconds()
    if run.monitor is not None:
        record.diagnosis = list(run.monitor.findings)
        record.diagnostics_seconds = run.monitor.seconds
    record.samples_per_second = run.task.samples_seen / record.seconds if record.seconds else 0.0
    best = Path(records.CHECKPOINTS) / f"{records.BEST}.ckpt"
    record.best_checkpoint = best.as_posix() if (folder / best).is_file() else None
    record.environment = record.environment or records.describe_environment(str(trainer.strategy.root_device))
    return record


def tell(request: RunRequest, run: Run, record: records.RunRecord) -> None:
    """Print how it ended, if there was any training."""
    if run.trainer.is_global_zero and record.steps:
        tested = "last epoch" if run.early_stopping is None or run.best is None else "best epoch"
        say(result_block(record, request.folder, tested))


def _curves(run: Run) -> records.CurvesRecord:
    from lit_dl.descent.task import Descent

    curves = records.CurvesRecord(run.task.curves.columns())
    if run.monitor is not None and (history := run.monitor.history) is not None:
        curves.layers, curves.log10_rms, curves.steps = history.layers, history.coarse(FLOW_COLUMNS), history.steps
    if isinstance(run.task, Descent):
        curves.trajectory = run.task.trajectory().thinned().as_columns()
    return curves


def _draw_trajectory(request: RunRequest, run: Run, curves: records.CurvesRecord) -> None:
    """The trajectory of a point on its surface, if this was one."""
    from lit_dl.descent.trajectories import read_trajectory
    from lit_dl.loggers import boards

    if (trajectory := read_trajectory(curves.trajectory)) is None:
        return
    from lit_dl.descent.figures import trajectory_figure, write_race
    from lit_dl.plots.canvas import save_figure

    trajectories = {request.choices["optimizer"]: trajectory}
    figure = trajectory_figure(trajectories)
    save_figure(figure, request.folder / "path.png")
    for board in boards(run.trainer):
        board.experiment.add_figure("path", figure, run.trainer.global_step, close=False)
    if request.cfg.animate:
        write_race(trajectories, request.folder / "path.gif")


def _draw(run: Run, folder: Path) -> None:
    from lit_dl.loggers import boards
    from lit_dl.plots.canvas import save_figure
    from lit_dl.tasks.supervised import Classifier

    if isinstance(run.task, Classifier) and run.task.confusion is not None:
        from lit_dl.plots.training import confusion_matrix

        figure = confusion_matrix(run.task.confusion, run.data.class_names)
        save_figure(figure, folder / "confusion_matrix.png")
        for board in boards(run.trainer):
            board.experiment.add_figure("confusion_matrix", figure, run.trainer.global_step, close=False)
    if run.monitor is not None and run.monitor.history is not None and run.monitor.history.layers:
        from lit_dl.plots.training import effective_rates, gradient_flow

        save_figure(gradient_flow(run.monitor.history), folder / "gradient_flow.png")
        if (steps := run.monitor.step_history) is not None and steps.layers:
            save_figure(effective_rates(steps), folder / "effective_lr.png")


def _log_settings(request: RunRequest, run: Run, record: records.RunRecord) -> None:
    """TensorBoard's HParams."""
    from lit_dl.loggers import boards

    for board in boards(run.trainer):
        board.log_hyperparams(hyperparameters(request), {f"hp/{name}": value for name, value in record.metrics.items()})
        board.finalize("success")
