"""What a run leaves in its folder when it ends, however it does."""

from dataclasses import asdict
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lit_dl import records
from lit_dl.build import Run
from lit_dl.console import result_block, say
from lit_dl.facts import hyperparameters

COLUMNS = 100  # of the gradient flow in curves.json


def conclude(cfg: DictConfig, run: Run | None, folder: Path, record: records.Record) -> None:
    """Write what is known now: figures, TensorBoard's HParams, metrics.json; and print it."""
    if run is None:
        records.write(record, folder)
        return
    trainer = run.trainer
    if not trainer.is_global_zero:
        return
    record.metrics = dict(run.task.metrics)
    record.epochs, record.steps = trainer.current_epoch, trainer.global_step
    record.seconds = run.task.seconds()
    if run.monitor is not None:
        record.diagnosis = [asdict(finding) for finding in run.monitor.findings]
        record.diagnostics_seconds = run.monitor.seconds
    record.samples_per_second = run.task.samples_seen / record.seconds if record.seconds else 0.0
    best = Path(records.CHECKPOINTS) / f"{records.BEST}.ckpt"
    record.best_checkpoint = str(best) if (folder / best).is_file() else None
    record.environment = records.environment(str(trainer.strategy.root_device))
    try:
        if record.steps:
            course = _course(run)
            records.write_course(course, folder)
            _draw(run, folder)
            _draw_trajectory(cfg, run, folder, course)
            _log_settings(cfg, run, folder, record)
    finally:
        records.write(record, folder)
    if record.steps:
        tested = "last epoch" if run.early_stopping is None or run.best is None else "best epoch"
        say(result_block(record, folder, tested))


def _course(run: Run) -> records.Course:
    from lit_dl.descent.task import Descent

    course = records.Course(run.task.curves.columns())
    if run.monitor is not None and (history := run.monitor.history) is not None:
        course.layers, course.log10_rms, course.steps = history.layers, history.coarse(COLUMNS), history.steps
    if isinstance(run.task, Descent):
        course.trajectory = run.task.trajectory().thinned().as_columns()
    return course


def _draw_trajectory(cfg: DictConfig, run: Run, folder: Path, course: records.Course) -> None:
    """The trajectory of a point on its surface, if this was one."""
    from lit_dl.descent.trajectories import read_trajectory
    from lit_dl.loggers import boards

    if (trajectory := read_trajectory(course.trajectory)) is None:
        return
    from lit_dl.descent.figures import trajectory_figure, write_race

    trajectories = {HydraConfig.get().runtime.choices["optimizer"]: trajectory}
    figure = trajectory_figure(trajectories)
    figure.savefig(folder / "path.png")
    for board in boards(run.trainer):
        board.experiment.add_figure("path", figure, run.trainer.global_step, close=False)
    if cfg.animate:
        write_race(trajectories, folder / "path.gif")


def _draw(run: Run, folder: Path) -> None:
    from lit_dl.loggers import boards
    from lit_dl.task import Classifier

    if isinstance(run.task, Classifier) and run.task.confusion is not None:
        from lit_dl.diagnostics.figures import confusion_matrix

        figure = confusion_matrix(run.task.confusion, run.data.class_names)
        figure.savefig(folder / "confusion_matrix.png")
        for board in boards(run.trainer):
            board.experiment.add_figure("confusion_matrix", figure, run.trainer.global_step, close=False)
    if run.monitor is not None and run.monitor.history is not None and run.monitor.history.layers:
        from lit_dl.diagnostics.figures import effective_rates, gradient_flow

        gradient_flow(run.monitor.history).savefig(folder / "gradient_flow.png")
        if (steps := run.monitor.step_history) is not None and steps.layers:
            effective_rates(steps).savefig(folder / "effective_lr.png")


def _log_settings(cfg: DictConfig, run: Run, folder: Path, record: records.Record) -> None:
    """TensorBoard's HParams."""
    from lit_dl.loggers import boards

    for board in boards(run.trainer):
        board.log_hyperparams(hyperparameters(cfg), {f"hp/{name}": value for name, value in record.metrics.items()})
        board.finalize("success")
    (folder / "hparams.yaml").unlink(missing_ok=True)  # the logger's own, less than what .hydra has
