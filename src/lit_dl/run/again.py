"""A run once more, from what its folder says: its config, its network, its first steps."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lit_dl import records
from lit_dl.errors import command_errors
from lit_dl.overrides import without
from lit_dl.run.build import Run, build
from lit_dl.run.objects import build_network, build_task
from lit_dl.run.request import RunRequest, as_primitives
from lit_dl.run.trust import check_config, check_run

if TYPE_CHECKING:
    from lit_dl.tasks.base import Task


class _EnoughError(Exception):
    """The steps that were wanted are made."""


def recorded_config(folder: Path, trust: bool = False, parts: Sequence[str] | None = None) -> DictConfig:
    """The composed config of a run folder.

    Args:
        folder: of the run.
        trust: take it whatever classes it names.
        parts: that are going to be built; None is all of it.

    Raises:
        ValueError: if it is no run folder, its config is damaged, or names what is not known and not trusted.
    """
    path = folder / records.HYDRA_FOLDER / "config.yaml"
    if not path.is_file():
        raise ValueError(
            f"{folder} is no run folder: it has no {records.HYDRA_FOLDER}/config.yaml. Name that of one "
            "run, such as outputs/train/<date>_<time>"
        )
    try:
        cfg = OmegaConf.load(path)
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(cfg, DictConfig):
        raise ValueError(f"{path} is damaged: it is no mapping")
    if not trust:
        with naming(folder):
            check_config(folder, cfg, parts)
    return cfg


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Let an error begin with the name of the folder."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def check_receipt(receipt: records.ReceiptRecord, folder: Path) -> None:
    """Whether what a receipt asks for may be built.

    Raises:
        ValueError: if it names what is not known.
    """
    with naming(folder):
        check_config(folder, OmegaConf.create(receipt.config))
        check_run(folder, without("resume", receipt.overrides), how="--trust")


def config_here(receipt: records.ReceiptRecord, folder: Path, trust: bool = False) -> dict[str, Any]:
    """What lit_dl makes today of the overrides of a run.

    Args:
        receipt: of the run.
        folder: of the run.
        trust: look for choices where the folder says that the run had found its own, too.

    Raises:
        ValueError: if it cannot compose them.
    """
    overrides = without("resume", receipt.overrides)
    places = _own_configs(folder)
    if trust and places:
        overrides.append(f"hydra.searchpath=[{', '.join(places)}]")
    try:
        with initialize_config_module("lit_dl.conf", version_base="1.3"):
            return as_primitives(compose("train", overrides))
    except (HydraException, OmegaConfBaseException) as error:
        way = "; its --config-dir is looked into with --trust" if places and not trust else ""
        raise ValueError(str(error).strip().partition("\n")[0] + way) from error


def rebuilt_task(cfg: DictConfig, folder: Path) -> "Task":
    """What a run trains, with fresh weights.

    Raises:
        CommandError: if it cannot be built here.
        ValueError: if the config lacks something.
        OSError: if data is missing.
    """
    with _whole_config(str(folder / records.HYDRA_FOLDER / "config.yaml")):
        data, network = build_network(cfg)
        return build_task(RunRequest(cfg, folder), data, network)


def first_steps(receipt: records.ReceiptRecord, folder: Path) -> records.ReceiptRecord:
    """Train a run's first steps again, as many as its receipt has; the receipt of that.

    Args:
        receipt: of the run.
        folder: an empty one, to train in.

    Raises:
        CommandError: if it cannot be built here.
        ValueError: if the recorded config lacks something.
        OSError: if data is missing, or the folder cannot be written.
        KeyboardInterrupt: if the user or the system stopped it.
    """
    from lit_dl.lightning_seams import interruptions

    with _whole_config(records.RECEIPT_FILE):
        run = build(RunRequest(_config_to_train(receipt), folder, list(receipt.overrides), dict(receipt.choices)))
    run.data.prepare_data()
    with command_errors("data"):
        run.data.setup()
    made = _stop_after(len(receipt.steps), run)
    with suppress(_EnoughError), interruptions():
        run.trainer.fit(run.task, datamodule=run.data)
    return made


@contextmanager
def _whole_config(where: str) -> Iterator[None]:
    """Tell that a config lacks what every run's has: somebody has changed it.

    Raises:
        ValueError: if so.
    """
    try:
        yield
    except (OmegaConfBaseException, AttributeError, TypeError, KeyError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ValueError(f"{where} has no whole config of a run: {why}") from error


def _config_to_train(receipt: records.ReceiptRecord) -> DictConfig:
    """The recorded config without what only tells of a training, on the kind of device that the run had."""
    from lit_dl.lightning_seams import accelerators

    cfg = OmegaConf.create(receipt.config)
    cfg.logger, cfg.animate, cfg.trainer.enable_progress_bar = None, False, False
    kind = str(receipt.environment.get("device", "cpu")).partition(":")[0]
    if kind in accelerators()[1]:
        cfg.trainer.accelerator = kind
    return cfg


def _stop_after(steps: int, run: Run) -> records.ReceiptRecord:
    """Let a training end after so many steps; the receipt that it writes meanwhile."""
    from lightning.pytorch import Callback

    from lit_dl.callbacks.receipt import Receipt
    from lit_dl.lightning_seams import callbacks_of

    receipt = next(each for each in callbacks_of(run.trainer) if isinstance(each, Receipt))
    receipt.steps, receipt.seconds = steps, math.inf

    class Stop(Callback):
        """At the end of the batch that completes the steps."""

        def on_train_batch_end(self, *_: Any) -> None:
            """Leave Lightning's loops, which min_epochs or a schedule could hold."""
            if len(receipt.record.steps) >= steps:
                raise _EnoughError

    callbacks_of(run.trainer).append(Stop())
    return receipt.record


def _own_configs(folder: Path) -> list[str]:
    """Where a run found configs of its user's own (``--config-dir``), as Hydra has written it."""
    with suppress(OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        text = (folder / records.HYDRA_FOLDER / "hydra.yaml").read_text(encoding="utf-8")
        sources = yaml.safe_load(text)["hydra"]["runtime"]["config_sources"]
        places = [each["path"] for each in sources if each["schema"] == "file"]
        return [f"'file://{place}'" for place in places if Path(place).is_dir()]
    return []
