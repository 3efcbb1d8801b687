"""What a user can get wrong on the command line, found and said before anything heavy is imported."""

import argparse
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from lit_dl.records import METRICS

SEED_LIMIT = 2**32  # numpy takes no larger seed
ABSENT = object()  # stands for a key that the config does not have, which is not the same as null
EXTRAS = {"joblib": "sweep", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}  # of each launcher


class CommandError(Exception):
    """The command asks for what cannot be had; the message says what, and the way out."""


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


def check_sweep(cfg: DictConfig) -> None:
    """Check what concerns a sweep as a whole.

    Raises:
        CommandError: names the key, the value and what is allowed.
    """
    try:
        if cfg.sweep.metric not in METRICS:
            why = "; the test set is not for choosing" if str(cfg.sweep.metric).startswith("test/") else ""
            raise ValueError(f"sweep.metric={cfg.sweep.metric}: it can be {', '.join(METRICS)}{why}")
        _number(cfg, "sweep.accuracy", 0, 1)
        if not isinstance(cfg.sweep.fail_fast, bool):
            raise ValueError(f"sweep.fail_fast={cfg.sweep.fail_fast}: it must be true or false")
    except ValueError as error:
        raise CommandError(str(error)) from error


def how_to_install(extra: str) -> str:
    """The way to an extra of lit_dl that is not installed."""
    return f"In the folder of lit_dl's source: pip install -c constraints.txt -e '.[{extra}]'"


def explain(error: BaseException, arguments: Sequence[str]) -> str:
    """One message of a few lines for what Hydra or OmegaConf found wrong with the command.

    For a choice that does not exist it lists the choices, for a key that does not exist it names the nearest ones.
    """
    message = str(error).strip().partition("\nConfig search path:")[0].replace("\t", "  ")
    if choice := re.search(r"Could not find '([^']+)'\s+Available options in '([^']+)':(.*)", message, re.DOTALL):
        group = choice.group(2)
        name, choices = choice.group(1).removeprefix(f"{group}/"), [*choice.group(3).split(), *_in_folders(group)]
        if group == "hydra/launcher" and name in EXTRAS:
            return f"{group}={name} is not installed. {how_to_install(EXTRAS[name])}"
        return f"{group}={name}: no such choice.{_did_you_mean(name, choices)}\nIt can be {', '.join(choices)}."
    if key := re.search(r"Could not override '([^']+)'", message):
        name = key.group(1).partition("@")[0]
        hint = _did_you_mean(name, list(dict.fromkeys(_names(arguments))))
        if "/" in name and f"{name.partition('/')[2]}/" in "".join(_in_folders(name.partition("/")[0])):
            hint = f" A choice in a folder is typed {name.replace('/', '=', 1)}/NAME."
        return f"{name}: no such key or group.{hint}\nAll of them: python -m lit_dl.train --help"
    cause = error.__cause__
    return f"{message}\n{cause}" if cause is not None and str(cause) not in message else message


def _in_folders(group: str) -> list[str]:
    """The choices of a group that are in folders of their own, such as scratch/adam of the optimizers."""
    folder = Path(str(files("lit_dl.conf"))) / group
    return sorted(f"{path.parent.name}/{path.stem}" for path in folder.glob("*/*.yaml"))


def _did_you_mean(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.7) or _same_ending(name, names)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _names(arguments: Sequence[str]) -> Iterator[str]:
    """Groups and dotted keys of the config, composed with those of the arguments that are right."""
    if GlobalHydra.instance().is_initialized():
        GlobalHydra.instance().clear()
    good = [f"hydra.searchpath=['file://{folder}']" for folder in _config_dir(arguments)]
    with initialize_config_module("lit_dl.conf", version_base="1.3"):
        for override in (a for a in arguments if "=" in a and not a.startswith(("-", "hydra"))):
            try:
                compose("train", [*good, override])
                good.append(override)
            except Exception:
                continue  # the one that is being explained, or another bad one
        cfg = compose("train", good, return_hydra_config=True)
    yield from (group for group in cfg.hydra.runtime.choices if not group.startswith("hydra/"))
    with open_dict(cfg):
        del cfg["hydra"]
    yield from _dotted(OmegaConf.to_container(cfg, resolve=False))


def _config_dir(arguments: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", default=None)
    folder = parser.parse_known_args(arguments)[0].config_dir
    return [] if folder is None else [str(Path(folder).absolute())]


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if not key.startswith("_"):
            yield f"{prefix}{key}"
            yield from _dotted(value, f"{prefix}{key}.")


def _same_ending(key: str, names: Iterable[str]) -> list[str]:
    """Keys whose last part is like that of ``key``: lr is optimizer.lr."""
    last = {name: name.rsplit(".", 1)[-1] for name in names}
    near = set(difflib.get_close_matches(key.rsplit(".", 1)[-1], set(last.values()), n=2, cutoff=0.75))
    return [name for name, ending in last.items() if ending in near][:3]


def _whole_number(cfg: DictConfig, key: str, least: int = 0, most: int | None = None, no_limit: bool = False) -> None:
    value = OmegaConf.select(cfg, key)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and (least <= value <= (math.inf if most is None else most) or (no_limit and value == -1)):
        return
    allowed = f"from {least} up" if most is None else f"from {least} to {most}"
    raise ValueError(f"{key}={value}: it must be a whole number {allowed}{', or -1 for no limit' if no_limit else ''}")


def _number(cfg: DictConfig, key: str, least: float, most: float = math.inf, least_included: bool = True) -> None:
    if OmegaConf.select(cfg, key, default=ABSENT) is ABSENT:
        return  # an optimizer of the user's own that has no such argument
    value = OmegaConf.select(cfg, key)
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if number and (least < value <= most or (value == least and least_included)):
        return
    allowed = f"from {least:g} to {most:g}" if most < math.inf else f"from {least:g} up"
    raise ValueError(f"{key}={value}: it must be a number {allowed if least_included else f'above {least:g}'}")
