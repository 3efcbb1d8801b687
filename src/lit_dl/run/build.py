"""From what was asked for to the objects of a run: data, task, and the Trainer with all that watches it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from lit_dl import records
from lit_dl.errors import CommandError, command_errors
from lit_dl.metrics import defined_for, is_better_larger
from lit_dl.run.objects import build_network, build_task, recipe
from lit_dl.run.request import RunRequest
from lit_dl.run.resumption import StartingPoint, starting_point

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import EarlyStopping

    from lit_dl.callbacks.checkpoints import BestAndLast
    from lit_dl.callbacks.continuation import Continuation
    from lit_dl.callbacks.gradient_monitor import GradientMonitor
    from lit_dl.data.module import DataModule
    from lit_dl.models.summary import Row
    from lit_dl.tasks.base import Task


@dataclass
class Run:
    """What a request is built into."""

    data: "DataModule"
    task: "Task"
    trainer: "Trainer"
    best: "BestAndLast | None"  # None with trainer.enable_checkpointing=false
    early_stopping: "EarlyStopping | None"
    monitor: "GradientMonitor | None"
    continuation: "Continuation"
    start: StartingPoint | None  # None for a new run
    layers: "list[Row]"


def build(request: RunRequest) -> Run:
    """The objects that a config names, with fresh weights from its seed.

    Raises:
        CommandError: if they cannot be built so.
    """
    from lightning.pytorch import seed_everything

    from lit_dl.callbacks.checkpoints import BestAndLast
    from lit_dl.models.summary import layer_table

    cfg = request.cfg
    start = starting_point(request)
    seed_everything(cfg.seed, verbose=False)
    data, network = build_network(cfg)
    with command_errors("model"):
        layers = layer_table(network, data.in_shape)
    task = build_task(request, data, network)
    monitor = _monitor(cfg)
    if cfg.compile:
        network.compile()  # in place, so that checkpoints have the same names
    early_stopping = _early_stopping(cfg, data, task)
    best = None
    if cfg.trainer.enable_checkpointing:
        watched = (
            (task.watched_loss, "min") if early_stopping is None else (early_stopping.monitor, early_stopping.mode)
        )
        best = BestAndLast(request.folder, *watched)
    continuation = _continuation(request)
    callbacks = [each for each in (early_stopping, best, monitor, continuation) if each is not None]
    if monitor is not None:
        callbacks += _pictures(request, data)
    return Run(
        data,
        task,
        _trainer(request, data, callbacks, start),
        best,
        early_stopping,
        monitor,
        continuation,
        start,
        layers,
    )


def _continuation(request: RunRequest) -> "Continuation":
    from lit_dl.callbacks.continuation import Continuation

    def write_config() -> None:
        records.write_config(OmegaConf.to_yaml({**request.cfg, "resume": None}), request.overrides, request.folder)

    return Continuation(request.folder, request.cfg.resume is not None, write_config)


def _monitor(cfg: DictConfig) -> "GradientMonitor | None":
    from lit_dl.records.finding import as_overrides

    if cfg.diagnostics is None:
        return None
    with command_errors("diagnostics"):
        monitor: GradientMonitor = recipe(cfg.diagnostics)(wording=as_overrides)
    return monitor


def _pictures(request: RunRequest, data: "DataModule") -> list[Any]:
    """Callbacks that draw what this data or this network has to show."""
    from lit_dl.callbacks.decision_regions import DecisionRegions
    from lit_dl.callbacks.feature_maps import FeatureMaps

    in_the_plane = data.num_classes and data.in_shape == (2,)
    return [FeatureMaps(request.folder), *([DecisionRegions(request.cfg.animate)] if in_the_plane else [])]


def _early_stopping(cfg: DictConfig, data: "DataModule", task: "Task") -> "EarlyStopping | None":
    if cfg.early_stopping is None:
        return None
    monitor, mode = cfg.early_stopping.monitor, cfg.early_stopping.mode
    names = defined_for(max(data.out_features, 1), task.metric_names)
    if monitor not in names:
        known = ", ".join(names)
        raise CommandError(f"early_stopping.monitor={monitor}: this run has no such metric. It can be {known}")
    better = "max" if is_better_larger(monitor) else "min"
    if mode not in (None, better):
        raise CommandError(f"early_stopping.mode={mode}: the best {monitor} is its {better}imum. Leave the mode out")
    validates = (
        data.out_features > 0
        and cfg.trainer.limit_val_batches != 0
        and (cfg.trainer.max_epochs == -1 or cfg.trainer.check_val_every_n_epoch <= cfg.trainer.max_epochs)
    )
    if monitor.startswith("val") and not validates:
        raise CommandError(f"early_stopping.monitor={monitor}: this run never validates. Take train/loss")
    if not cfg.trainer.enable_checkpointing:
        raise CommandError("early_stopping=on tests the best parameters, so it needs trainer.enable_checkpointing=true")
    with command_errors("early_stopping"):
        # Validation comes before the end of the training epoch, and with it what train/* was over that epoch.
        stopping: EarlyStopping = recipe(cfg.early_stopping)(
            mode=better, check_on_train_epoch_end=monitor.startswith("train")
        )
    return stopping


def _trainer(request: RunRequest, data: "DataModule", callbacks: list[Any], start: StartingPoint | None) -> "Trainer":
    from lit_dl.callbacks.checkpoints import AtomicCheckpointIO
    from lit_dl.callbacks.progress import EpochProgress
    from lit_dl.callbacks.trace import Trace

    cfg, folder = request.cfg, request.folder
    _check_accelerator(cfg.trainer.accelerator)
    if any(word in str(cfg.trainer.strategy) for word in ("spawn", "fork", "notebook")):
        raise CommandError(
            f"trainer.strategy={cfg.trainer.strategy}: its processes keep the results to themselves. Take ddp instead"
        )
    if cfg.trainer.enable_progress_bar:
        callbacks.append(EpochProgress() if data.out_features else Trace())
    logger: Any = False
    if cfg.logger is not None:
        # A TensorBoard that is open forgets the steps after the checkpoint, which come again.
        is_board = cfg.logger["_target_"].endswith("TensorBoardLogger")
        purge = {"purge_step": start.step + 1} if start is not None and is_board else {}
        with command_errors("logger"):
            logger = recipe(cfg.logger)(save_dir=str(folder), **purge)
    with command_errors("trainer"):
        plugins = _plugins(cfg.trainer.plugins)
        trainer: Trainer = recipe(cfg.trainer)(
            plugins=[*plugins, AtomicCheckpointIO()],
            callbacks=callbacks,
            logger=logger,
            default_root_dir=str(folder),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    return trainer


def _plugins(node: Any) -> list[Any]:
    """What ``trainer.plugins`` names: one or several, by name or as nodes with ``_target_``."""
    if node is None:
        return []
    nodes = list(node) if OmegaConf.is_list(node) else [node]
    return [recipe(each)() if OmegaConf.is_dict(each) else each for each in nodes]


def _check_accelerator(name: str) -> None:
    from lit_dl.lightning_seams import accelerators

    known, usable = accelerators()
    is_gpu = bool({"cuda", "mps"} & set(usable))
    choices = f"Here it can be auto, {', '.join(usable)}" + (", gpu" if is_gpu else "")
    if name not in known and name not in ("auto", "gpu"):
        raise CommandError(f"trainer.accelerator={name}: no accelerator of Lightning. {choices}")
    if name not in usable and name != "auto" and not (name == "gpu" and is_gpu):
        raise CommandError(f"trainer.accelerator={name}: torch finds none on this machine. {choices}")
