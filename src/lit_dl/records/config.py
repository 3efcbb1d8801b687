"""The config in a run folder: with what it was started, and with what it goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lit_dl.overrides import without
from lit_dl.records.files import CHECKPOINTS, HYDRA_FOLDER, LAST, last_checkpoint, write_text


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
    if not last_checkpoint(folder).is_file():
        raise ValueError(f"{folder} has no {CHECKPOINTS}/{LAST}.ckpt to go on from: its first epoch was not finished")
    return without("resume", yaml.safe_load(path.read_text(encoding="utf-8")))
