"""From nodes of a config to data, network, optimizer and task: the one place that calls Hydra's ``instantiate``."""

import math
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from lit_dl import records
from lit_dl.errors import CommandError, command_errors
from lit_dl.run.arguments import check_arguments
from lit_dl.run.request import RunRequest

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from lit_dl.data.module import DataModule
    from lit_dl.optim.groups import Grouped
    from lit_dl.tasks.base import Task
    from lit_dl.tasks.supervised import SupervisedTask

GROUPING = ("layer_lr_decay", "decay_biases_and_norms")  # keys of every optimizer, for lit_dl.optim.groups


def recipe(node: Any, later: Collection[str] = ()) -> Callable[..., Any]:
    """What a config node names, with its arguments bound; to be called with the objects that no config can hold.

    Args:
        node: a config with ``_target_``.
        later: arguments that the caller gives, whatever the config has for them.

    Raises:
        ValueError: if it names nothing, what it names cannot be found, or a value is of the wrong kind.
    """
    if "_target_" not in node:
        raise ValueError("the config names no class (_target_); take a choice of this group")
    target = node["_target_"]
    if not isinstance(target, str) or not target:
        raise ValueError(f"_target_ is {target!r}; it must be the name of a class, such as torch.optim.Adam")
    try:
        made: Callable[..., Any] = instantiate(node, _partial_=True, _convert_="all")
    except InstantiationException as error:
        is_of_target = str(error).startswith("Error locating") or isinstance(error.__cause__, ImportError)
        if error.__cause__ is None or is_of_target:
            why = str(error.__cause__ or error).partition("\nfull_key")[0].replace("\n", " ")
            raise ValueError(f"_target_ is {target!r}: {why}") from error
        raise ValueError(str(error.__cause__)) from error.__cause__
    check_arguments(made, later)
    return made


def build_network(cfg: DictConfig) -> "tuple[DataModule, nn.Module]":
    """The data of a config, which is not loaded, and the network for it, not initialised.

    Raises:
        CommandError: if they cannot be built so.
    """
    with command_errors("data"):
        data = recipe(cfg.data)(shuffle_seed=cfg.seed)
    with command_errors("activation"):
        activation = recipe(cfg.activation)
    with command_errors("model"):
        shapes = {"in_shape": data.in_shape, "out_features": data.out_features}
        make = partial(recipe(cfg.model), **shapes, activation=activation)
        if cfg.model["_target_"].startswith("lit_dl."):
            _check_size(make)
        network = make()
    return data, network


def _check_size(make: "Callable[[], nn.Module]") -> None:
    """Refuse a network whose parameters and gradients cannot be held, before any of it is.

    It is made once more, without memory (torch's meta device) and without a draw from the random numbers. That is for
    lit_dl's own networks: one of the user's may do more than make parameters, such as load them.

    Raises:
        ValueError: if it is too large.
    """
    import torch

    from lit_dl.devices import check_memory

    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            size = sum(2 * p.numel() * p.element_size() for p in make().parameters())
    except Exception as error:
        if "overflow" in str(error).lower() or isinstance(error, OverflowError):
            raise ValueError("a layer has more parameters than can be counted. Take smaller layers") from error
        return
    check_memory("its parameters and their gradients", size, "Take smaller layers")


def build_task(request: RunRequest, data: "DataModule", network: "nn.Module") -> "Task":
    """The network with fresh weights, its optimizer and schedule, and what is done with this data.

    Learn classes or numbers or, without samples, minimise the network itself.

    Raises:
        CommandError: if they cannot be built so.
    """
    from lit_dl.models import initialize

    cfg = request.cfg
    with command_errors("init"):
        initialize(network, recipe(cfg.init) if cfg.init is not None else None)
    with command_errors("optimizer"):
        optimizer = _optimizer(cfg.optimizer, network, data)
        trial = optimizer.on_trial(network.parameters())  # checks the arguments now, not when training has begun
    with command_errors("scheduler"):
        scheduler = recipe(cfg.scheduler) if cfg.scheduler is not None else None
        _check_schedule(request, scheduler, trial)
    stops = cfg.diagnostics is None or cfg.diagnostics.on_divergence == "stop"
    if not data.out_features:
        return _descent(cfg, network, optimizer, scheduler, stops)
    with command_errors("loss"):
        from lit_dl.tasks.supervised import Classifier, Regressor

        kind = Classifier if data.num_classes else Regressor
        task = kind(network, optimizer, scheduler, recipe(cfg.loss)(), cfg.l1, stops)
        _try_loss(task, data)
    return task


def _optimizer(node: DictConfig, network: "nn.Module", data: "DataModule") -> "Grouped":
    """The recipe of an optimizer; those of a node's keys that any optimizer has make its parameter groups."""
    from lit_dl.layers import order_of_use
    from lit_dl.optim.groups import Grouped

    arguments: dict[Any, Any] = dict(node)
    grouping = {key: arguments.pop(key) for key in GROUPING if key in arguments}
    return Grouped(recipe(arguments), network, order_of_use(network, data.in_shape), **grouping)


def _descent(
    cfg: DictConfig, network: "nn.Module", optimizer: "Grouped", scheduler: Callable[..., Any] | None, stops: bool
) -> "Task":
    from lit_dl.descent.point import Point
    from lit_dl.descent.task import Descent

    if cfg.l1:
        raise CommandError(f"l1={cfg.l1}: a point on a surface has no weights to keep small. Leave it out")
    assert isinstance(network, Point)  # check_values lets no other model near data=none
    return Descent(network, optimizer, scheduler, stops_when_diverged=stops)


def _check_schedule(request: RunRequest, scheduler: Callable[..., Any] | None, trial: "Optimizer") -> None:
    """Let a schedule meet an optimizer; one over the whole training cannot go on into one of another length."""
    from lit_dl.optim.schedules import make_scheduler

    if scheduler is None:
        return
    cfg = request.cfg
    endless = cfg.trainer.max_epochs == -1 and cfg.trainer.max_steps == -1
    _, interval = make_scheduler(scheduler, trial, math.inf if endless else 1)
    if interval != "step" or cfg.resume is None:
        return
    earlier = records.read_config(request.folder)["trainer"]
    for key in ("max_epochs", "max_steps"):
        if cfg.trainer[key] != earlier[key]:
            raise ValueError(
                f"it was laid out for trainer.{key}={earlier[key]}; resume with that, or begin a new run with more"
            )


def _try_loss(task: "SupervisedTask", data: "DataModule") -> None:
    """Let the loss meet outputs of the network now, not when training has begun.

    Raises:
        ValueError: if they do not go together.
        RuntimeError: if torch says so.
    """
    import torch

    from lit_dl.layers import evaluating
    from lit_dl.tasks.losses import compares_outputs

    with torch.no_grad(), evaluating(task.network):
        outputs = task.network(torch.zeros(2, *data.in_shape))
    if outputs.shape[1] == 1 and data.num_classes and compares_outputs(task.loss):
        raise ValueError(
            "it compares outputs with each other, but this model has a single one. Take loss=binary_cross_entropy, or "
            "loss=mse loss.link=sigmoid"
        )
    targets = torch.zeros(2, dtype=torch.long) if data.num_classes else torch.zeros(2, data.num_targets)
    task.loss(outputs, targets)
