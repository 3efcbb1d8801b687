"""A run that goes on: from which checkpoint, and whether it may."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_dl import records
from lit_dl.console import relative, say
from lit_dl.errors import CommandError, command_errors
from lit_dl.run.request import RunRequest


@dataclass(frozen=True)
class StartingPoint:
    """The state from which a run goes on."""

    path: Path
    step: int


def starting_point(request: RunRequest) -> StartingPoint | None:
    """The newest whole checkpoint of a run that is resumed, None for a new run; those that are damaged are named.

    The best one stands in for the last one if it was saved at the end of an epoch. In the middle of one there is
    nothing to go on from: batches would be left out.

    Raises:
        CommandError: if there is none.
    """
    if request.cfg.resume is None:
        return None
    whole, damaged = records.whole_checkpoints(request.folder)
    for path in whole:
        checkpoint = _load(path)
        if path.stem == records.BEST and not _ends_an_epoch(checkpoint):
            continue
        done = int(checkpoint["epoch"]) + 1
        if 0 < request.cfg.trainer.max_epochs < done and _ends_an_epoch(checkpoint):
            raise CommandError(
                f"resume={request.cfg.resume}: {done} epochs are done. For more, set trainer.max_epochs above that"
            )
        if path.stem != records.LAST:
            names = " and ".join(relative(each) for each in damaged) or f"{records.LAST}.ckpt"
            why = "damaged" if damaged else "not there"
            say(f"{names}: {why}. Going on from {path.name}, of epoch {done}", style="yellow")
        return StartingPoint(path, int(checkpoint["global_step"]))
    where = ", ".join(str(path) for path in (*damaged, *whole)) or "none is there"
    raise CommandError(f"resume={request.cfg.resume}: no whole checkpoint of an epoch's end to go on from ({where})")


def check_unfinished(request: RunRequest) -> None:
    """Whether there is anything left to do, as far as the record tells.

    Raises:
        ValueError: if not, or if a file of the run folder could not be replaced in the end.
    """
    cfg, folder = request.cfg, request.folder
    for name in (records.METRICS_FILE, records.CURVES_FILE):
        if (folder / name).is_dir():
            raise ValueError(f"resume={cfg.resume}: {folder / name} is a folder, where a file is to be. Move it away")
    try:
        record = records.read_run(folder)
    except FileNotFoundError:  # a run that was killed
        return
    except ValueError as error:
        say(f"{error}. It will be written anew", style="yellow")
        return
    if record.status == "diverged":
        raise ValueError(f"resume={cfg.resume}: it diverged, and would again. Its diagnosis says what to try instead")
    if record.status == "early_stopped" and cfg.early_stopping is not None:
        raise ValueError(f"resume={cfg.resume}: it was stopped early. To go on all the same: early_stopping=off")
    done = {"max_epochs": record.epochs, "max_steps": record.steps}
    for key, count in done.items():
        if record.status == "completed" and 0 < cfg.trainer[key] <= count:
            what = key.removeprefix("max_")
            raise ValueError(
                f"resume={cfg.resume}: its {count} {what} are done. For more, set trainer.{key} above that"
            )


def _load(path: Path) -> dict[str, Any]:
    from lit_dl.lightning_seams import load_checkpoint

    with command_errors(str(path)):
        checkpoint = load_checkpoint(path)
    if not isinstance(checkpoint, dict) or not {"loops", "epoch", "global_step"} <= checkpoint.keys():
        raise CommandError(f"{path} is no checkpoint of a run")
    return checkpoint


def _ends_an_epoch(checkpoint: dict[str, Any]) -> bool:
    with suppress(KeyError, TypeError):
        return bool(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"])
    return False
