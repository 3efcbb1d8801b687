"""A run once more, from what its folder says: its network as it was, and its first steps."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from lit_dl import records
from lit_dl.run.objects import build_network, build_task
from lit_dl.run.request import RunRequest

if TYPE_CHECKING:
    from lit_dl.tasks.base import Task


def recorded_config(folder: Path) -> DictConfig:
    """The composed config of a run folder.

    Raises:
        ValueError: if it is no run folder, or its config cannot be read.
    """
    path = folder / records.HYDRA_FOLDER / "config.yaml"
    if not path.is_file():
        raise ValueError(
            f"{folder} is no run folder: it has no {records.HYDRA_FOLDER}/config.yaml. Name that of one "
            "run, such as outputs/train/<date>_<time>"
        )
    cfg = OmegaConf.load(path)
    if not isinstance(cfg, DictConfig):
        raise ValueError(f"{path} is no config of a run")
    return cfg


def rebuilt_task(cfg: DictConfig, folder: Path) -> "Task":
    """What a run trains, with fresh weights.

    Raises:
        CommandError: if it cannot be built here.
        OSError: if data is missing.
    """
    data, network = build_network(cfg)
    return build_task(RunRequest(cfg, folder), data, network)
