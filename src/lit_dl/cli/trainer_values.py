"""What is checked of the keys of ``trainer``: values that Lightning takes and fails on later, or waits on for ever."""

import os
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lit_dl.errors import is_number, is_whole, wrong_count

DURATION = re.compile(r"\d+:\d\d:\d\d:\d\d")  # as Lightning reads it
UNITS = ("weeks", "days", "hours", "minutes", "seconds")
A_TIME = "a time as days:hours:minutes:seconds, such as '00:00:10:00'"
# What starts a process on each node sets one of these groups of variables: torchrun, SLURM, LSF, MPI, or the user, as
# Lightning's guide to clusters says.
LAUNCHERS = (
    {"TORCHELASTIC_RUN_ID"}, {"SLURM_NTASKS"}, {"LSB_JOBID"}, {"OMPI_COMM_WORLD_SIZE"}, {"PMI_SIZE"},
    {"MASTER_ADDR", "NODE_RANK"},
)  # fmt: skip
# Arguments of Lightning's Trainer that lit_dl gives by itself or that would go past it, with what to take instead.
NOT_TAKEN = {
    "overfit_batches": "data.train_size=N trains on the first N samples",
    "callbacks": "lit_dl brings its own, which a class of yours can join from Python",
    "logger": "the group logger has it",
    "default_root_dir": "hydra.run.dir=DIR names the run folder",
    "enable_model_summary": "each run prints its layers",
    "limit_predict_batches": "nothing is predicted here",
    "barebones": "diagnostics=off logger=off leave out what costs time",
    "use_distributed_sampler": "the data sets share out their batches by themselves",
    "reload_dataloaders_every_n_epochs": "the data sets make new batches in each epoch by themselves",
    "enable_autolog_hparams": "each run records its config",
    "model_registry": "each run keeps its checkpoints in its folder",
}


def check_trainer(trainer: DictConfig) -> None:
    """Check these keys; the kinds of the others' values are known once Lightning is there.

    Raises:
        ValueError: names the key, the value and what is allowed.
    """
    values: dict[Any, Any] = dict(trainer)
    for key, instead in NOT_TAKEN.items():
        if key in values:
            raise ValueError(f"trainer.{key}={values[key]}: lit_dl does not take it; {instead}")
    for part in ("train", "val", "test"):
        _check_limit(f"limit_{part}_batches", values.get(f"limit_{part}_batches"))
    if values["limit_train_batches"] == 0:
        raise ValueError("trainer.limit_train_batches=0: nothing would be trained; it must be above 0, or null for all")
    _check_interval(values["val_check_interval"])
    _check_time("max_time", values["max_time"])
    trial = values["fast_dev_run"]
    if not isinstance(trial, bool) and (wrong := wrong_count(trial, 0)):
        raise ValueError(f"trainer.fast_dev_run={trial}: {wrong}, or true or false")
    for key in ("min_epochs", "min_steps"):
        if (count := values.get(key)) is not None and (wrong := wrong_count(count, 0)):
            raise ValueError(f"trainer.{key}={count}: {wrong}, or null")
    _check_least(values)
    _check_nodes(values)


def _check_limit(key: str, value: Any) -> None:
    is_share = isinstance(value, float) and is_number(value) and 0 <= value <= 1
    if value is not None and not is_share and wrong_count(value, 0):
        raise ValueError(
            f"trainer.{key}={value}: it must be a number of batches, a share of them such as 0.5, or null for all"
        )


def _check_interval(value: Any) -> None:
    if isinstance(value, str) or OmegaConf.is_dict(value):
        _check_time("val_check_interval", value)
        return
    is_share = isinstance(value, float) and is_number(value) and 0 < value <= 1
    if value is not None and not is_share and wrong_count(value):
        raise ValueError(
            f"trainer.val_check_interval={value}: it must be a number of batches from 1 up, a share of an epoch "
            f"above 0 such as 0.5, {A_TIME}, or null for once an epoch"
        )


def _check_time(key: str, value: Any) -> None:
    if isinstance(value, Mapping | DictConfig):
        fits = value.keys() <= set(UNITS) and all(is_number(each) and each >= 0 for each in value.values())
    else:
        fits = value is None or (isinstance(value, str) and DURATION.fullmatch(value.strip()) is not None)
    if not fits or (isinstance(value, str) and len(value) > len("99999:00:00:00")):
        raise ValueError(f"trainer.{key}={value}: it must be {A_TIME}, or null")


def _check_least(values: Mapping[str, Any]) -> None:
    """A least number of epochs or steps beyond the most would never be reached."""
    for unit in ("epochs", "steps"):
        least, most = values.get(f"min_{unit}"), values[f"max_{unit}"]
        if is_whole(least) and is_whole(most) and -1 < most < least:
            raise ValueError(f"trainer.min_{unit}={least}: it is more than trainer.max_{unit}={most}")


def _check_nodes(values: Mapping[str, Any]) -> None:
    """Without something that starts a process on each node, Lightning waits for the others for ever."""
    nodes = values["num_nodes"]
    if (
        is_whole(nodes)
        and nodes > 1
        and not values["plugins"]
        and not any(each <= set(os.environ) for each in LAUNCHERS)
    ):
        raise ValueError(
            f"trainer.num_nodes={nodes}: nothing has started this command on each node, so it would wait for the "
            "others for ever. Start it on each by torchrun or SLURM (or set MASTER_ADDR and NODE_RANK), or take "
            "trainer.num_nodes=1"
        )
