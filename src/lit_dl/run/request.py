"""What was asked for: the config and all that Hydra knows beside it, in one object that is made once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lit_dl.overrides import Override, read_all, without
from lit_dl.records import RunRecord


@dataclass(frozen=True)
class RunRequest:
    """One run, as it was asked for.

    Args:
        cfg: the composed config.
        folder: the run folder, which exists.
        overrides: as typed, or as a sweep made them.
        choices: the choice of each of lit_dl's groups, by the group's name.
        launcher: the choice of Hydra's launcher.
        is_job: whether it is a job of a sweep.
    """

    cfg: DictConfig
    folder: Path
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    launcher: str = "basic"
    is_job: bool = False

    @property
    def set_keys(self) -> list[Override]:
        """The overrides, taken apart."""
        return read_all(self.overrides)

    def new_record(self) -> RunRecord:
        """A record that says that the run failed, until it is known how it ended."""
        return RunRecord("failed", "", overrides=without("resume", self.overrides), choices=dict(self.choices))


def as_primitives(cfg: DictConfig) -> dict[str, Any]:
    """A config with its interpolations resolved, as it is recorded; without the folder that it may be resumed in."""
    content: Any = OmegaConf.to_container(cfg, resolve=True)
    return {**content, "resume": None}
