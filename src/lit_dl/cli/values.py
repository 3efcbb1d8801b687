"""What is checked of the values in a config, before anything heavy is imported."""

import math

from omegaconf import DictConfig, OmegaConf

from lit_dl.cli.process import MOST_THREADS
from lit_dl.errors import wrong_count, wrong_number
from lit_dl.sweeps.runner import check_sweep

SEED_LIMIT = 2**32  # numpy takes no larger seed
ABSENT = object()  # stands for a key that the config does not have, which is not the same as null


def check_values(cfg: DictConfig) -> None:
    """Check the values that no class of lit_dl receives, and those worth saying within a second.

    Raises:
        ValueError: names the key, the value and what is allowed.
    """
    check_sweep(cfg)
    _whole_number(cfg, "seed", most=SEED_LIMIT - 1)
    _number(cfg, "dropout", 0, 1)
    _check_dropout_is_used(cfg)
    _number(cfg, "l1", 0)
    if cfg.threads is not None:
        _whole_number(cfg, "threads", least=1, most=MOST_THREADS)
    _number(cfg, "optimizer.lr", 0, least_included=False)
    _number(cfg, "optimizer.weight_decay", 0)
    for key in ("compile", "animate"):
        if not isinstance(cfg[key], bool):
            raise ValueError(f"{key}={cfg[key]}: it must be true or false")
    for key in ("trainer.max_epochs", "trainer.max_steps"):
        _whole_number(cfg, key, least=1, no_limit=True)
    for key in ("accumulate_grad_batches", "check_val_every_n_epoch", "log_every_n_steps"):
        _whole_number(cfg, f"trainer.{key}", least=1)
    if OmegaConf.select(cfg, "data._target_") == "lit_dl.data.NoData" and "surface" not in cfg.model:
        raise ValueError(
            "data=none: it has nothing that this model could learn from. Take model=himmelblau, rosenbrock, beale, "
            "saddle or valley, or other data"
        )
    if cfg.early_stopping is not None:
        _whole_number(cfg, "early_stopping.patience", least=1)
        _number(cfg, "early_stopping.min_delta", 0)
    if cfg.trainer.gradient_clip_val is not None:
        _number(cfg, "trainer.gradient_clip_val", 0, least_included=False)
    if cfg.trainer.limit_train_batches == 0:
        raise ValueError("trainer.limit_train_batches=0: nothing would be trained; it must be above 0, or null for all")
    fused = OmegaConf.select(cfg, "optimizer.fused")
    if fused and cfg.trainer.gradient_clip_val is not None and str(cfg.trainer.precision) == "16-mixed":
        raise ValueError(
            f"trainer.gradient_clip_val={cfg.trainer.gradient_clip_val}: fused optimizers cannot clip gradients under "
            "trainer.precision=16-mixed. Add optimizer.fused=false, or take trainer.precision=bf16-mixed"
        )


def _check_dropout_is_used(cfg: DictConfig) -> None:
    if cfg.dropout == 0 or "${dropout}" in OmegaConf.to_yaml(cfg.model, resolve=False):
        return
    if "dropout" not in cfg.model:
        raise ValueError(f"dropout={cfg.dropout}: this model has no dropout. Leave it out, or take model=mlp")
    raise ValueError(f"dropout={cfg.dropout}: this model has its own. Set model.dropout={cfg.dropout} instead")


def _whole_number(cfg: DictConfig, key: str, least: int = 0, most: int | None = None, no_limit: bool = False) -> None:
    value = OmegaConf.select(cfg, key)
    wrong = wrong_count(value, least, most)
    if wrong and not (no_limit and value == -1):
        raise ValueError(f"{key}={value}: {wrong}{', or -1 for no limit' if no_limit else ''}")


def _number(cfg: DictConfig, key: str, least: float, most: float = math.inf, least_included: bool = True) -> None:
    value = OmegaConf.select(cfg, key, default=ABSENT)
    if value is ABSENT:
        return  # an optimizer of the user's own that has no such argument
    if wrong := wrong_number(value, least, most, least_included):
        raise ValueError(f"{key}={value}: {wrong}")
