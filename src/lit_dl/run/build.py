"""From what was asked for to the objects of a run: data, task, and the Trainer with all that watches it."""

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from lit_dl import records
from lit_dl.errors import CommandError, command_errors
from lit_dl.metrics import defined_for, is_better_larger
from lit_dl.overrides import without
from lit_dl.run.arguments import check_arguments
from lit_dl.run.asked_devices import check_devices
from lit_dl.run.objects import build_network, build_task, recipe
from lit_dl.run.request import RunRequest, as_primitives
from lit_dl.run.resumption import StartingPoint, starting_point

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import EarlyStopping
    from torch import nn

    from lit_dl.callbacks.checkpoints import BestAndLast
    from lit_dl.callbacks.continuation import Continuation
    from lit_dl.callbacks.gradient_monitor import GradientMonitor
    from lit_dl.callbacks.receipt import Receipt
    from lit_dl.data.module import DataModule
    from lit_dl.models.summary import Row
    from lit_dl.tasks.base import Task

GIVEN = ("mode", "plugins")  # arguments of early stopping and trainer that are worked out here


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
    from lit_dl.callbacks.black_box import BlackBox
    from lit_dl.callbacks.checkpoints import BestAndLast

    cfg = request.cfg
    start = starting_point(request)
    data, task, layers = _learner(request)
    monitor = _monitor(cfg)
    receipt = _receipt(request, data, task.network)
    if cfg.compile:
        task.network.compile()  # in place, so that checkpoints have the same names
    early_stopping = _early_stopping(cfg, data, task)
    best = None
    if cfg.trainer.enable_checkpointing:
        watched = (
            (task.watched_loss, "min") if early_stopping is None else (early_stopping.monitor, early_stopping.mode)
        )
        best = BestAndLast(request.folder, *watched)
    continuation = _continuation(request)
    callbacks: list[Any] = [each for each in (early_stopping, best, monitor, continuation) if each is not None]
    callbacks += [BlackBox(request.folder), receipt]
    if monitor is not None:
        callbacks += _pictures(request, data)
    trainer = _trainer(request, data, callbacks, start)
    return Run(data, task, trainer, best, early_stopping, monitor, continuation, start, layers)


def _continuation(request: RunRequest) -> "Continuation":
    from lit_dl.callbacks.continuation import Continuation

    def write_config() -> None:
        overrides = without("resume", request.overrides)
        records.write_config(OmegaConf.to_yaml({**request.cfg, "resume": None}), overrides, request.folder)

    return Continuation(request.folder, request.cfg.resume is not None, write_config)


def try_out(request: RunRequest) -> list[str]:
    """Build what can be built without a trace, and let it go: a job of a sweep, before the first has begun.

    Returns:
        the metrics that such a run has.

    Raises:
        CommandError: if it cannot be built so.
        OSError: if a file is missing that tells the shape of the data.
    """
    cfg = request.cfg
    data, task, _ = _learner(request)
    _monitor(cfg)
    _early_stopping(cfg, data, task)
    check_devices(cfg.trainer)
    with command_errors("trainer"):
        recipe(cfg.trainer, later=GIVEN)
    with command_errors("logger"):
        if cfg.logger is not None:
            _check_writer(cfg.logger)
            recipe(cfg.logger)
    return defined_for(max(data.out_features, 1), task.metric_names)


def _learner(request: RunRequest) -> "tuple[DataModule, Task, list[Row]]":
    """Data, the task with a network for it, and the table of its layers."""
    from lightning.pytorch import seed_everything

    from lit_dl.models.summary import layer_table

    seed_everything(request.cfg.seed, verbose=False)
    data, network = build_network(request.cfg)
    with command_errors("model"):
        layers = layer_table(network, data.in_shape)
    return data, build_task(request, data, network), layers


def _monitor(cfg: DictConfig) -> "GradientMonitor | None":
    from lit_dl.records.finding import as_overrides

    if cfg.diagnostics is None:
        return None
    with command_errors("diagnostics"):
        monitor: GradientMonitor = recipe(cfg.diagnostics)(wording=as_overrides)
    return monitor


def _receipt(request: RunRequest, data: "DataModule", network: "nn.Module") -> "Receipt":
    from lit_dl.callbacks.receipt import Receipt
    from lit_dl.layers import layers_of, order_of_use

    record = records.ReceiptRecord(as_primitives(request.cfg), list(request.overrides), dict(request.choices))
    return Receipt(request.folder, record, data.described, layers_of(network, order_of_use(network, data.in_shape)))


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
        stopping: EarlyStopping = recipe(cfg.early_stopping, later=GIVEN)(
            mode=better, check_on_train_epoch_end=monitor.startswith("train")
        )
    return stopping


def _trainer(request: RunRequest, data: "DataModule", callbacks: list[Any], start: StartingPoint | None) -> "Trainer":
    from lit_dl.callbacks.checkpoints import AtomicCheckpointIO
    from lit_dl.callbacks.progress import EpochProgress
    from lit_dl.callbacks.trace import Trace

    cfg, folder = request.cfg, request.folder
    check_devices(cfg.trainer)
    if cfg.trainer.enable_progress_bar:
        callbacks.append(EpochProgress() if data.out_features else Trace())
    logger: Any = False
    if cfg.logger is not None:
        # A TensorBoard that is open forgets the steps after the checkpoint, which come again.
        is_board = cfg.logger["_target_"].endswith("TensorBoardLogger")
        purge = {"purge_step": start.step + 1} if start is not None and is_board else {}
        with command_errors("logger"):
            _check_writer(cfg.logger)
            logger = recipe(cfg.logger)(save_dir=str(folder), **purge)
    with command_errors("trainer"):
        plugins = _plugins(cfg.trainer.plugins)
        trainer: Trainer = recipe(cfg.trainer, later=GIVEN)(
            plugins=[*plugins, AtomicCheckpointIO()],
            callbacks=callbacks,
            logger=logger,
            default_root_dir=str(folder),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    return trainer


def _check_writer(node: DictConfig) -> None:
    """TensorBoard's logger hands what it does not know to the writer, which it makes when training has begun."""
    from lightning.pytorch.loggers import TensorBoardLogger

    known = inspect.signature(TensorBoardLogger).parameters
    rest = {key: node[key] for key in map(str, node) if key not in known and not key.startswith("_")}
    if rest and node.get("_target_") == "lightning.pytorch.loggers.TensorBoardLogger":
        from torch.utils.tensorboard import SummaryWriter

        check_arguments(partial(SummaryWriter, **rest))


def _plugins(node: Any) -> list[Any]:
    """What ``trainer.plugins`` names, one or several nodes with ``_target_``."""
    if node is None:
        return []
    nodes = list(node) if OmegaConf.is_list(node) else [node]
    for each in nodes:
        if not OmegaConf.is_dict(each):
            raise ValueError(f"plugins: one is {each!r}; it must be a class of Lightning's as a node with _target_")
    return [recipe(each)() for each in nodes]
