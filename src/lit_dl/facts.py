"""What a run is told by: its facts before training, its settings where runs are compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from lit_dl.build import Run
from lit_dl.console import relative

if TYPE_CHECKING:
    from lit_dl.descent.task import Descent


def facts_of(cfg: DictConfig, run: Run, folder: Path) -> dict[str, str]:
    """The facts of a run in the order in which they are shown, by name."""
    from lit_dl.descent.task import Descent
    from lit_dl.machines.hardware import describe

    choices = HydraConfig.get().runtime.choices
    device, world = describe(run.trainer.strategy.root_device), run.trainer.world_size
    decay = cfg.optimizer.get("weight_decay")
    return {
        **(_surface_facts(run.task) if isinstance(run.task, Descent) else _sample_facts(run)),
        "optimizer": f"{choices['optimizer']}, lr {cfg.optimizer.get('lr')}"
        + (f", weight decay {decay:g}" if decay else "")
        + ("" if not decay or cfg.optimizer.decay_biases_and_norms else " (not of biases and norms)")
        + ("" if cfg.optimizer.layer_lr_decay == 1 else f", times {cfg.optimizer.layer_lr_decay:g} a layer down")
        + (f"; scheduler {choices['scheduler']}" if cfg.scheduler is not None else ""),
        "device": device + (f", {world} processes" if world > 1 else ""),
        "run folder": relative(folder),
    }


def _sample_facts(run: Run) -> dict[str, str]:
    sizes, data = run.data.sizes(), run.data
    choices = HydraConfig.get().runtime.choices
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


def _surface_facts(task: "Descent") -> dict[str, str]:
    from lit_dl.descent.surfaces import SURFACES

    name, (x, y) = task.network.surface, task.network.position.tolist()
    return {"surface": f"{name}, f = {SURFACES[name].formula}", "start": f"({x:g}, {y:g})"}


def hyperparameters(cfg: DictConfig) -> dict[str, Any]:
    """What TensorBoard's HParams compares runs by: the choice of each group, the numbers, and all that was set."""
    groups = ("data", "model", "activation", "init", "optimizer", "scheduler", "loss", "early_stopping")
    choices = {group: HydraConfig.get().runtime.choices[group] for group in groups}
    keys = ("seed", "dropout", "l1", "optimizer.lr", "optimizer.weight_decay", "data.batch_size", "data.train_size")
    numbers = {key: OmegaConf.select(cfg, key) for key in keys}
    own = [
        str(key) for key in cfg.model if not str(key).startswith("_") and not OmegaConf.is_interpolation(cfg.model, key)
    ]
    model = {f"model.{key}": cfg.model[key] for key in own}
    set_keys = (override.partition("=")[0].lstrip("+~") for override in HydraConfig.get().overrides.task)
    typed = {key: OmegaConf.select(cfg, key) for key in set_keys if "@" not in key and not key.startswith("resume")}
    values = {**choices, **numbers, **model, **{k: v for k, v in typed.items() if not OmegaConf.is_dict(v)}}
    return {key: value for key, value in values.items() if value is not None}
