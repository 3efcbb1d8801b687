"""The config in a run folder: with what it was started, and with what it goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lit_dl.overrides import without
from lit_dl.records.checking import checked
from lit_dl.records.checkpoints import whole_checkpoints
from lit_dl.records.files import CHECKPOINTS, HYDRA_FOLDER, LAST, write_text
from lit_dl.records.reading import read_yaml, refusing
from lit_dl.shell import join


def read_config(folder: Path) -> dict[str, Any]:
    """The composed config of a run folder; interpolations are left as they are written.

    Raises:
        FileNotFoundError: if it has none.
        ValueError: if it cannot be read.
    """
    return read_yaml(folder / HYDRA_FOLDER / "config.yaml", dict[str, Any], "a config")


def read_overrides(folder: Path) -> list[str]:
    """The overrides with which the run in ``folder`` was started.

    Raises:
        FileNotFoundError: if it has none.
        ValueError: if they cannot be read.
    """
    return read_yaml(folder / HYDRA_FOLDER / "overrides.yaml", list[str], "overrides")


def read_choices(folder: Path) -> dict[str, str]:
    """What was taken of each of lit_dl's groups.

    Raises:
        FileNotFoundError: if Hydra has not said so in the folder.
        ValueError: if it cannot be read.
    """
    path = folder / HYDRA_FOLDER / "hydra.yaml"
    known = read_yaml(path, dict[str, Any], "Hydra's config")
    with refusing(path, "Hydra's config"):
        for key in ("hydra", "runtime", "choices"):
            known = checked(known.get(key), dict[str, Any], key)
    return named_choices(known)


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
        ValueError: if it is no run folder, has no checkpoint to go on from, or its overrides cannot be read.
    """
    if not (folder / HYDRA_FOLDER / "overrides.yaml").is_file():
        raise ValueError(f"{folder} is no run folder: it has no {HYDRA_FOLDER}/overrides.yaml")
    asked = without("resume", read_overrides(folder))
    whole, damaged = whole_checkpoints(folder)
    if not whole:
        names = f"{' and '.join(str(each.relative_to(folder)) for each in damaged)}: damaged, and no other is there"
        why = names if damaged else f"no {CHECKPOINTS}/{LAST}.ckpt yet: its first epoch was not finished"
        anew = join(["python", "-m", "lit_dl.train", *asked])
        raise ValueError(f"{folder} has nothing to go on from ({why}). Start it anew: {anew}")
    return asked
