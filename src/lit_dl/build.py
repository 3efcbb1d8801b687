"""From a config to the objects of a run: the one place that calls Hydra's ``instantiate``."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from lit_dl import records
from lit_dl.checks import CommandError
from lit_dl.command import command_errors

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import EarlyStopping
    from torch import nn

    from lit_dl.checkpoints import BestAndLast
    from lit_dl.data.base import InMemoryData
    from lit_dl.diagnostics import GradientMonitor
    from lit_dl.models.summary import Row
    from lit_dl.task import Task
    from lit_dl.training import Training


GROUPING = ("layer_lr_decay", "decay_biases_and_norms")  # keys of every optimizer, for lit_dl.optim.groups


@dataclass
class Run:
    """What a config is built into."""

    data: "InMemoryData"
    task: "Training"
    trainer: "Trainer"
    best: "BestAndLast | None"  # None with trainer.enable_checkpointing=false
    early_stopping: "EarlyStopping | None"
    monitor: "GradientMonitor | None"
    layers: "list[Row]"


def build(cfg: DictConfig, folder: Path) -> Run:
    """The objects that a config names, with fresh weights from ``cfg.seed``.

    Raises:
        CommandError: if they cannot be built so.
    """
    from lightning.pytorch import seed_everything

    from lit_dl.checkpoints import BestAndLast
    from lit_dl.models import initialize
    from lit_dl.models.summary import layer_table
    from lit_dl.schedule import make_scheduler

    seed_everything(cfg.seed, verbose=False)
    data, network = build_network(cfg)
    with command_errors("model"):
        layers = layer_table(network, data.in_shape)
    with command_errors("init"):
        initialize(network, _recipe(cfg.init) if cfg.init is not None else None)
    with command_errors("optimizer"):
        optimizer = _optimizer(cfg.optimizer, network, data.in_shape)
        trial = optimizer(network.parameters())  # checks the arguments now, not when training has begun
    with command_errors("scheduler"):
        scheduler = _recipe(cfg.scheduler) if cfg.scheduler is not None else None
        endless = cfg.trainer.max_epochs == -1 and cfg.trainer.max_steps == -1
        if scheduler is not None:
            _, interval = make_scheduler(scheduler, trial, math.inf if endless else 1)
            if interval == "step" and cfg.resume is not None:
                _check_length(cfg, folder)
    stops = cfg.diagnostics is None or cfg.diagnostics.on_divergence == "stop"
    task = _task(cfg, data, network, optimizer, scheduler, stops)
    monitor = None
    if cfg.diagnostics is not None:
        with command_errors("diagnostics"):
            monitor = _recipe(cfg.diagnostics)()
    if cfg.compile:
        network.compile()  # in place, so that checkpoints have the same names
    early_stopping = _early_stopping(cfg, data, task)
    best = None
    if cfg.trainer.enable_checkpointing:
        watched = (task.plateau, "min") if early_stopping is None else (early_stopping.monitor, early_stopping.mode)
        best = BestAndLast(folder, *watched)
    callbacks = [callback for callback in (early_stopping, best, monitor) if callback is not None]
    if monitor is not None:
        callbacks += _pictures(cfg, data, folder)
    return Run(data, task, _trainer(cfg, data, folder, callbacks), best, early_stopping, monitor, layers)


def build_network(cfg: DictConfig) -> "tuple[InMemoryData, nn.Module]":
    """The data of a config, which is not loaded, and the network for it, not initialised.

    Raises:
        CommandError: if they cannot be built so.
    """
    with command_errors("data"):
        data = _recipe(cfg.data)(shuffle_seed=cfg.seed)
    with command_errors("model"):
        network = _recipe(cfg.model)(
            in_shape=data.in_shape, out_features=data.out_features, activation=_recipe(cfg.activation)
        )
    return data, network


def build_benchmark(cfg: DictConfig) -> Callable[..., dict[str, float]] | None:
    """What measures the machine instead of a training, to be called with task, data and run folder; None trains.

    Raises:
        CommandError: if it cannot be built.
    """
    if cfg.benchmark is None:
        return None
    if not OmegaConf.is_dict(cfg.benchmark):
        raise CommandError(f"benchmark={cfg.benchmark}: take experiment=devices or experiment=memory")
    with command_errors("benchmark"):
        return _recipe(cfg.benchmark)


def _pictures(cfg: DictConfig, data: "InMemoryData", folder: Path) -> list[Any]:
    """Callbacks that draw what this data or this network has to show."""
    from lit_dl.diagnostics.feature_maps import FeatureMaps
    from lit_dl.diagnostics.regions import DecisionRegions

    in_the_plane = data.num_classes and data.in_shape == (2,)
    return [FeatureMaps(folder), *([DecisionRegions(cfg.animate)] if in_the_plane else [])]


def _optimizer(node: DictConfig, network: Any, in_shape: Sequence[int]) -> Callable[..., Any]:
    """The recipe of an optimizer; those of a node's arguments that any optimizer has make its parameter groups."""
    from lit_dl.models.summary import order_of_use
    from lit_dl.optim.groups import Grouped

    recipe: Any = _recipe(node)
    arguments = dict(recipe.keywords)
    grouping = {key: arguments.pop(key) for key in GROUPING if key in arguments}
    return Grouped(partial(recipe.func, **arguments), network, order_of_use(network, in_shape), **grouping)


def _recipe(node: DictConfig) -> Callable[..., Any]:
    """What a config node names, with its arguments bound; to be called with the objects that no config can hold."""
    recipe: Callable[..., Any] = instantiate(node, _partial_=True, _convert_="all")
    return recipe


def _task(cfg: DictConfig, data: "InMemoryData", network: Any, optimizer: Any, scheduler: Any, stops: bool) -> Any:
    """What is done with this data: learn classes or numbers or, without samples, minimise the network itself."""
    from lit_dl.descent.task import Descent
    from lit_dl.task import Classifier, Regressor

    if not _has_samples(data):
        if cfg.l1:
            raise CommandError(f"l1={cfg.l1}: a point on a surface has no weights to keep small. Leave it out")
        return Descent(network, optimizer, scheduler, stops_when_diverged=stops)
    with command_errors("loss"):
        kind = Classifier if data.num_classes else partial(Regressor, num_targets=data.num_targets)
        task = kind(network, optimizer, scheduler, _recipe(cfg.loss)(), cfg.l1, stops_when_diverged=stops)
        _try_loss(task, data)
    return task


def _has_samples(data: "InMemoryData") -> bool:
    return data.out_features > 0


def _try_loss(task: "Task", data: "InMemoryData") -> None:
    """Let the loss meet outputs of the network now, not when training has begun.

    Raises:
        ValueError: if they do not go together.
        RuntimeError: if torch says so.
    """
    import torch

    with torch.no_grad():
        outputs = task.network.eval()(torch.zeros(2, *data.in_shape))
    task.network.train()
    if outputs.shape[1] == 1 and data.num_classes and _compares_outputs(task.loss):
        raise ValueError(
            "it compares outputs with each other, but this model has a single one. Take loss=binary_cross_entropy, or "
            "loss=mse loss.link=sigmoid"
        )
    targets = torch.zeros(2, dtype=torch.long) if data.num_classes else torch.zeros(2, data.num_targets)
    task.loss(outputs, targets)


def _compares_outputs(loss: Any) -> bool:
    from torch import nn

    return isinstance(loss, nn.CrossEntropyLoss) or getattr(loss, "link", None) == "softmax"


def _early_stopping(cfg: DictConfig, data: "InMemoryData", task: "Training") -> "EarlyStopping | None":
    if cfg.early_stopping is None:
        return None
    monitor, mode = cfg.early_stopping.monitor, cfg.early_stopping.mode
    if monitor not in task.metric_names:
        names = ", ".join(task.metric_names)
        raise CommandError(f"early_stopping.monitor={monitor}: this run has no such metric. It can be {names}")
    better = "max" if records.is_better_larger(monitor) else "min"
    if mode not in (None, better):
        raise CommandError(f"early_stopping.mode={mode}: the best {monitor} is its {better}imum. Leave the mode out")
    validates = (
        _has_samples(data)
        and cfg.trainer.limit_val_batches != 0
        and (cfg.trainer.max_epochs == -1 or cfg.trainer.check_val_every_n_epoch <= cfg.trainer.max_epochs)
    )
    if monitor.startswith("val") and not validates:
        raise CommandError(f"early_stopping.monitor={monitor}: this run never validates. Take train/loss")
    if not cfg.trainer.enable_checkpointing:
        raise CommandError("early_stopping=on tests the best parameters, so it needs trainer.enable_checkpointing=true")
    with command_errors("early_stopping"):
        # Validation comes before the end of the training epoch, and with it what train/* was over that epoch.
        return _recipe(cfg.early_stopping)(mode=better, check_on_train_epoch_end=monitor.startswith("train"))


def _trainer(cfg: DictConfig, data: "InMemoryData", folder: Path, callbacks: list[Any]) -> "Trainer":
    from lit_dl.checkpoints import AtomicCheckpointIO
    from lit_dl.descent.trace import Trace
    from lit_dl.progress import EpochProgress

    _check_accelerator(cfg.trainer.accelerator)
    if any(word in str(cfg.trainer.strategy) for word in ("spawn", "fork", "notebook")):
        raise CommandError(
            f"trainer.strategy={cfg.trainer.strategy}: its processes keep the results to themselves. Take ddp instead"
        )
    if cfg.trainer.enable_progress_bar:
        callbacks.append(EpochProgress() if _has_samples(data) else Trace())
    logger: Any = False
    if cfg.logger is not None:
        purge = _purge(cfg, folder)
        with command_errors("logger"):
            logger = _recipe(cfg.logger)(save_dir=str(folder), **purge)
    with command_errors("trainer"):
        recipe = _recipe(cfg.trainer)
        plugins = recipe.keywords["plugins"] or []  # type: ignore[attr-defined]  # it is a functools.partial
        trainer: Trainer = recipe(
            plugins=[*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()],
            callbacks=callbacks,
            logger=logger,
            default_root_dir=str(folder),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    return trainer


def _purge(cfg: DictConfig, folder: Path) -> dict[str, int]:
    """What TensorBoard is to forget of a run that is resumed: the steps after the checkpoint, which come again."""
    if cfg.resume is None or not cfg.logger["_target_"].endswith("TensorBoardLogger"):
        return {}
    import torch

    with command_errors(f"resume={cfg.resume}"):
        checkpoint = torch.load(records.last_checkpoint(folder), weights_only=True, map_location="cpu")
    return {"purge_step": checkpoint["global_step"] + 1}


def _check_length(cfg: DictConfig, folder: Path) -> None:
    """A schedule over the whole training cannot go on into one of another length."""
    earlier = records.read_config(folder)["trainer"]
    for key in ("max_epochs", "max_steps"):
        if cfg.trainer[key] != earlier[key]:
            raise ValueError(
                f"it was laid out for trainer.{key}={earlier[key]}; resume with that, or begin a new run with more"
            )


def _check_accelerator(name: str) -> None:
    from lightning.pytorch.accelerators import AcceleratorRegistry

    known = sorted(AcceleratorRegistry.available_accelerators())
    usable = [known_name for known_name in known if AcceleratorRegistry[known_name]["accelerator"].is_available()]
    choices = f"Here it can be auto, {', '.join(usable)}" + (", gpu" if {"cuda", "mps"} & set(usable) else "")
    if name not in known and name not in ("auto", "gpu"):
        raise CommandError(f"trainer.accelerator={name}: no accelerator of Lightning. {choices}")
    if name not in usable and name != "auto" and not (name == "gpu" and {"cuda", "mps"} & set(usable)):
        raise CommandError(f"trainer.accelerator={name}: torch finds none on this machine. {choices}")
