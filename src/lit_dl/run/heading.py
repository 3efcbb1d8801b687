"""The heading that is printed above a run, and the settings by which TensorBoard compares runs."""

from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from lit_dl.console import relative
from lit_dl.run.build import Run
from lit_dl.run.request import RunRequest

if TYPE_CHECKING:
    from lit_dl.descent.task import Descent


def heading(request: RunRequest, run: Run) -> dict[str, str]:
    """What stands above a run, in the order in which it is shown, by name."""
    from lit_dl.descent.task import Descent
    from lit_dl.devices import describe_device

    cfg, choices = request.cfg, request.choices
    device, world = describe_device(run.trainer.strategy.root_device), run.trainer.world_size
    decay = cfg.optimizer.get("weight_decay")
    return {
        **(_of_surface(run.task) if isinstance(run.task, Descent) else _of_samples(request, run)),
        "optimizer": f"{choices['optimizer']}, lr {cfg.optimizer.get('lr')}"
        + (f", weight decay {decay:g}" if decay else "")
        + ("" if not decay or cfg.optimizer.decay_biases_and_norms else " (not of biases and norms)")
        + ("" if cfg.optimizer.layer_lr_decay == 1 else f", times {cfg.optimizer.layer_lr_decay:g} a layer down")
        + (f"; scheduler {choices['scheduler']}" if cfg.scheduler is not None else ""),
        "device": device + (f", {world} processes" if world > 1 else ""),
        "run folder": relative(request.folder),
    }


def _of_samples(request: RunRequest, run: Run) -> dict[str, str]:
    sizes, data = run.data.sizes(), run.data
    choices = request.choices
    shape = "x".join(str(side) for side in data.in_shape)
    answers = f"{data.num_classes} classes" if data.num_classes else f"{data.num_targets} targets"
    parameters = sum(p.numel() for p in run.task.parameters())
    return {
        "data": f"{data.name}: {sizes['train']:,} training, {sizes['val']:,} validation, {sizes['test']:,} test",
        "samples": f"{shape}, {answers}; batch size {data.batch_size}",
        "model": f"{choices['model']}, {parameters:,} parameters; activation {choices['activation']}, "
        f"init {choices['init']}",
        "loss": str(choices["loss"]),
    }


def _of_surface(task: "Descent") -> dict[str, str]:
    from lit_dl.descent.surfaces import SURFACES

    name, (x, y) = task.network.surface, task.network.position.tolist()
    return {"surface": f"{name}, f = {SURFACES[name].formula}", "start": f"({x:g}, {y:g})"}


def hyperparameters(request: RunRequest) -> dict[str, Any]:
    """What TensorBoard's HParams compares runs by: the choice of each group, the numbers, and all that was set."""
    cfg = request.cfg
    groups = ("data", "model", "activation", "init", "optimizer", "scheduler", "loss", "early_stopping")
    choices = {group: request.choices[group] for group in groups}
    keys = ("seed", "dropout", "l1", "optimizer.lr", "optimizer.weight_decay", "data.batch_size", "data.train_size")
    numbers = {key: OmegaConf.select(cfg, key) for key in keys}
    own = [str(key) for key in cfg.model if not str(key).startswith("_")]
    model = {f"model.{key}": cfg.model[key] for key in own if not OmegaConf.is_interpolation(cfg.model, key)}
    asked = [o.key for o in request.set_keys if "@" not in o.key and o.key != "resume"]
    typed = {key: value for key in asked if not OmegaConf.is_dict(value := OmegaConf.select(cfg, key))}
    return {key: value for key, value in {**choices, **numbers, **model, **typed}.items() if value is not None}
