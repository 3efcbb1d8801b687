"""Whether a config has the parts that a run needs and nothing is left open in it, before any value is looked at."""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lit_dl.errors import CommandError
from lit_dl.overrides import is_override, read_all

GROUPS = ("data", "model", "activation", "optimizer", "loss", "trainer")  # a run needs one choice of each
MAY_BE_OFF = ("init", "scheduler", "early_stopping", "diagnostics", "logger")
READ = {  # keys that a run reads by name, beside the arguments of classes
    "sweep": ("metric", "accuracy", "fail_fast", "resume"),
    "optimizer": ("layer_lr_decay", "decay_biases_and_norms"),
    "early_stopping": ("monitor", "mode", "patience", "min_delta"),
    "diagnostics": ("on_divergence",),
    "trainer": (
        "accelerator", "devices", "strategy", "num_nodes", "precision", "max_epochs", "max_steps", "max_time",
        "limit_train_batches", "limit_val_batches", "fast_dev_run", "val_check_interval", "check_val_every_n_epoch",
        "log_every_n_steps", "accumulate_grad_batches", "gradient_clip_val", "plugins", "enable_checkpointing",
        "enable_progress_bar",
    ),
}  # fmt: skip
ROOT = ("seed", "dropout", "l1", "animate", "compile", "hardware", "resume")


def check_choices(arguments: Sequence[str]) -> None:
    """Refuse a list, a mapping, a number or nothing where a group takes the name of one choice.

    Raises:
        CommandError: names the group, what was typed, and the choices.
    """
    for override in read_all(filter(is_override, arguments)):
        folder = Path(str(files("lit_dl.conf"))) / override.group
        is_name = override.value and override.value[0] not in "[{$" and not _is_number_or_bool(override.value)
        if override.text.startswith("~") or is_name or "/" in override.group or not folder.is_dir():
            continue
        choices = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        can_be = f"It can be {choices}" if choices else "This one has none"
        raise CommandError(f"{override.text}: a group takes the name of one choice. {can_be}")


def _is_number_or_bool(text: str) -> bool:
    try:
        if text.lower() in ("true", "false"):
            return True
        float(text)
    except ValueError:
        return False
    return True


def check_shape(cfg: DictConfig) -> None:
    """Check that nothing is missing, no group is something else, and every interpolation leads somewhere.

    Raises:
        ValueError: names the key, and the value if there is one.
    """
    for key, text in _interpolations(OmegaConf.to_container(cfg, resolve=False)):
        try:
            OmegaConf.select(cfg, key, throw_on_resolution_failure=True)
        except (OmegaConfBaseException, RecursionError) as error:
            why = str(error).partition("\n")[0]
            raise ValueError(f"{key}={text}: {why}. Name a key of the config, or a variable that is set") from error
    for key in (*ROOT, *GROUPS, *MAY_BE_OFF, *READ):
        if key not in cfg:
            raise ValueError(f"{key} is missing: a run needs it. Leave out ~{key}, or give it a value")
    for key in (*GROUPS, *MAY_BE_OFF, "sweep"):
        node = cfg[key]
        if not OmegaConf.is_dict(node) and not (node is None and key in MAY_BE_OFF):
            raise ValueError(f"{key}={node}: it must be a mapping of keys to values, as in conf/{key}")
    for group, keys in READ.items():
        for key in keys if cfg[group] is not None else ():
            if key not in cfg[group]:
                raise ValueError(f"{group}.{key} is missing: a run needs it. Leave out ~{group}.{key}, or give a value")


def _interpolations(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Of a config as plain Python the keys whose values name other keys, with those values as they are written."""
    if isinstance(node, str) and "${" in node:
        yield key, node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _interpolations(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _interpolations(value, f"{key}[{number}]")
