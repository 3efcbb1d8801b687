"""The config in a run folder: with what it was started, and with what it goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lit_dl.overrides import without
from lit_dl.records.checkpoints import whole_checkpoints
from lit_dl.records.files import CHECKPOINTS, HYDRA_FOLDER, LAST, write_text
from lit_dl.shell import join


def read_config(folder: Path) -> dict[str, Any]:
    """The composed config of a run folder; interpolations are left as they are written.

    Raises:
        FileNotFoundError: if it has none.
    """
    config: dict[str, Any] = yaml.safe_load((folder / HYDRA_FOLDER / "config.yaml").read_text(encoding="utf-8"))
    return config


def write_config(config: str, overrides: list[str], folder: Path) -> None:
    """Replace a run folder's config by that with which it goes on, both given as YAML and list.

    Raises:
        OSError: if the folder cannot be written.
    """
    write_text(folder / HYDRA_FOLDER / "config.yaml", config)
    write_text(folder / HYDRA_FOLDER / "overrides.yaml", yaml.safe_dump(overrides))


def named_choices(choices: Mapping[str, Any]) -> dict[str, str]:
    """Of Hydra's choices those of lit_dl's groups."""
    return {group: str(choice) for group, choice in choices.items() if not group.startswith("hydra/") and choice}


def overrides_to_resume(folder: Path) -> list[str]:
    """The overrides with which the run in ``folder`` was started, to compose its config again.

    Raises:
        ValueError: if it is no run folder, or has no checkpoint to go on from.
    """
    path = folder / HYDRA_FOLDER / "overrides.yaml"
    if not path.is_file():
        raise ValueError(f"{folder} is no run folder: it has no {HYDRA_FOLDER}/overrides.yaml")
    asked = _overrides(path)
    whole, damaged = whole_checkpoints(folder)
    if not whole:
        names = f"{' and '.join(str(each.relative_to(folder)) for each in damaged)}: damaged, and no other is there"
        why = names if damaged else f"no {CHECKPOINTS}/{LAST}.ckpt yet: its first epoch was not finished"
        anew = join(["python", "-m", "lit_dl.train", *asked])
        raise ValueError(f"{folder} has nothing to go on from ({why}). Start it anew: {anew}")
    return asked


def _overrides(path: Path) -> list[str]:
    """Those in a run folder's ``overrides.yaml``, but for that with which it was resumed."""
    try:
        asked = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it is no YAML") from error
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
        raise ValueError(f"{path} is damaged: it is no list of overrides")
    return without("resume", asked)
