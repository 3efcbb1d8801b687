"""What was wrong with the command, as Hydra found it, in one message that names the way out."""

import argparse
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

from lit_dl.errors import CommandError, how_to_install
from lit_dl.overrides import Override, is_override, read_all

EXTRAS = {"joblib": "sweep", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}  # of each launcher


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
    longer = [known for known in names if name and known.startswith(name)][:3]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.7) or longer or _same_ending(name, names)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _names(arguments: Sequence[str]) -> Iterator[str]:
    """Groups and dotted keys of the config, composed with those of the arguments that are right."""
    if GlobalHydra.instance().is_initialized():
        GlobalHydra.instance().clear()
    good = [f"hydra.searchpath=['file://{folder}']" for folder in _config_dir(arguments)]
    with initialize_config_module("lit_dl.conf", version_base="1.3"):
        for override in (a for a in arguments if is_override(a) and not a.startswith(("~", "hydra"))):
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


def groups_set_to_null(arguments: Sequence[str]) -> list[str]:
    """What is to be said of overrides that give null to a group, a line each."""
    asked = read_all(filter(is_override, arguments))
    return [_takes_a_choice(o) for o in asked if o.value == "null" and o.group in _groups()]


def check_groups(arguments: Sequence[str]) -> None:
    """Refuse to leave a group out, as ``~model`` would: a run needs one choice of each.

    Raises:
        CommandError: if one is left out.
    """
    for override in read_all(argument for argument in arguments if argument.startswith("~")):
        if override.key in _groups():
            raise CommandError(_takes_a_choice(override))


def _groups() -> set[str]:
    return {path.name for path in Path(str(files("lit_dl.conf"))).iterdir() if path.is_dir()}


def _takes_a_choice(override: Override) -> str:
    choices = sorted(path.stem for path in (Path(str(files("lit_dl.conf"))) / override.group).glob("*.yaml"))
    return f"{override.text}: a group takes the name of a choice. It can be {', '.join(choices)}"
