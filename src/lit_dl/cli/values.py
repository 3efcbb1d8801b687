"""What is checked of the values in a config, before anything heavy is imported."""

import math
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lit_dl.cli.process import MOST_THREADS
from lit_dl.cli.shape import check_shape
from lit_dl.cli.trainer_values import check_trainer
from lit_dl.errors import is_whole, wrong_count, wrong_number
from lit_dl.sweeps.runner import check_sweep

SEED_LIMIT = 2**32  # numpy takes no larger seed
ABSENT = object()  # stands for a key that the config does not have, which is not the same as null


# Of keys that no class of lit_dl checks: the least, the most, and whether the least is allowed.
NUMBERS: dict[str, tuple[float, float, bool]] = {
    "dropout": (0, 1, True),
    "model.dropout": (0, 1, True),
    "l1": (0, math.inf, True),
    "optimizer.lr": (0, math.inf, False),
    "optimizer.weight_decay": (0, math.inf, True),
    "trainer.gradient_clip_val": (0, math.inf, False),
    "early_stopping.min_delta": (0, math.inf, True),
}
COUNTS = {  # whole numbers, and the least of each
    "trainer.accumulate_grad_batches": 1,
    "trainer.check_val_every_n_epoch": 1,
    "trainer.log_every_n_steps": 1,
    "trainer.num_nodes": 1,
    "early_stopping.patience": 1,
}
NO_LIMIT = ("trainer.max_epochs", "trainer.max_steps")  # from 1 up, or -1
MAY_BE_NULL = ("trainer.gradient_clip_val",)
SWITCHES = ("compile", "animate", "trainer.enable_checkpointing", "trainer.enable_progress_bar")
# Of torch's own classes, which take these values and fail later, or go on and train nothing.
OF_TORCH: dict[str, tuple[float, float, bool]] = {
    "scheduler.gamma": (0, math.inf, False),
    "scheduler.factor": (0, 1, True),
    "scheduler.eta_min": (0, math.inf, True),
    "scheduler.max_lr": (0, math.inf, False),
    "scheduler.pct_start": (0, 1, True),
    "init.std": (0, math.inf, True),
    "init.gain": (0, math.inf, True),
    "loss.label_smoothing": (0, 1, True),
}
COUNTS_OF_TORCH = {"scheduler.step_size": 1, "scheduler.patience": 0}


def check_values(cfg: DictConfig) -> None:
    """Check the values that no class of lit_dl receives, and those worth saying within a second.

    Raises:
        ValueError: names the key, the value and what is allowed.
    """
    check_shape(cfg)
    check_sweep(cfg)
    _whole_number(cfg, "seed", most=SEED_LIMIT - 1)
    if cfg.threads is not None:
        _whole_number(cfg, "threads", least=1, most=MOST_THREADS)
    for key, limits in {**NUMBERS, **_present(cfg, OF_TORCH)}.items():
        _number(cfg, key, *limits)
    for key, least in {**COUNTS, **_present(cfg, COUNTS_OF_TORCH)}.items():
        _whole_number(cfg, key, least)
    for key in NO_LIMIT:
        _whole_number(cfg, key, least=1, no_limit=True)
    for key in SWITCHES:
        if not isinstance(value := OmegaConf.select(cfg, key), bool):
            raise ValueError(f"{key}={value}: it must be true or false")
    check_trainer(cfg.trainer)
    _check_dropout_is_used(cfg)
    if OmegaConf.select(cfg, "data._target_") == "lit_dl.data.NoData" and "surface" not in cfg.model:
        raise ValueError(
            "data=none: it has nothing that this model could learn from. Take model=himmelblau, rosenbrock, beale, "
            "saddle or valley, or other data"
        )
    fused = OmegaConf.select(cfg, "optimizer.fused")
    if fused and cfg.trainer.gradient_clip_val is not None and str(cfg.trainer.precision) == "16-mixed":
        raise ValueError(
            f"trainer.gradient_clip_val={cfg.trainer.gradient_clip_val}: fused optimizers cannot clip gradients under "
            "trainer.precision=16-mixed. Add optimizer.fused=false, or take trainer.precision=bf16-mixed"
        )


def _present(cfg: DictConfig, limits: dict[str, Any]) -> dict[str, Any]:
    """Of limits of torch's classes those whose group names one: the same key may mean another thing elsewhere."""
    targets = {group: str(OmegaConf.select(cfg, f"{group}._target_")) for group in ("scheduler", "init", "loss")}
    return {key: each for key, each in limits.items() if targets[key.partition(".")[0]].startswith("torch.")}


def _check_dropout_is_used(cfg: DictConfig) -> None:
    if cfg.dropout == 0 or "${dropout}" in OmegaConf.to_yaml(cfg.model, resolve=False):
        return
    if "dropout" not in cfg.model:
        raise ValueError(f"dropout={cfg.dropout}: this model has no dropout. Leave it out, or take model=mlp")
    raise ValueError(f"dropout={cfg.dropout}: this model has its own. Set model.dropout={cfg.dropout} instead")


def _whole_number(cfg: DictConfig, key: str, least: int = 0, most: int | None = None, no_limit: bool = False) -> None:
    value = OmegaConf.select(cfg, key, default=ABSENT)
    wrong = wrong_count(value, least, most)
    if value is not ABSENT and wrong and not (no_limit and is_whole(value) and value == -1):
        raise ValueError(f"{key}={value}: {wrong}{', or -1 for no limit' if no_limit else ''}")


def _number(cfg: DictConfig, key: str, least: float, most: float = math.inf, least_included: bool = True) -> None:
    value = OmegaConf.select(cfg, key, default=ABSENT)
    if value is ABSENT or (value is None and key in MAY_BE_NULL):
        return  # an optimizer of the user's own that has no such argument, an early stopping that is off
    if wrong := wrong_number(value, least, most, least_included):
        raise ValueError(f"{key}={value}: {wrong}")
