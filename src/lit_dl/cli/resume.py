"""The command that goes on with a run or a sweep: which overrides it had, and what may be changed now."""

from collections.abc import Sequence
from pathlib import Path

from lit_dl import records
from lit_dl.errors import CommandError
from lit_dl.overrides import Override, is_override, last_value, read_all, without
from lit_dl.run.trust import check_run, check_sweep

KEEP_HYDRA_FOLDER = "hydra.output_subdir=null"  # also how Lightning starts the other processes of DDP
MAY_CHANGE = ("trainer", "logger", "diagnostics", "early_stopping", "compile", "animate", "threads")  # on resuming
MAY_CHANGE_IN_SWEEP = ("sweep.", "hydra/launcher", "hydra.launcher", "hydra.sweeper.n_trials", "hydra.sweeper.n_jobs")
MULTIRUN = {"-m", "--multirun"}


def expand_resume(arguments: Sequence[str]) -> list[str]:
    """Replace ``resume=FOLDER`` and ``sweep.resume=FOLDER`` by what was typed for that run or sweep.

    What is typed now comes last and wins. Flags come first, as argparse wants them.

    Raises:
        CommandError: if there is nothing to resume in the folder, or what is typed would make another run of it.
    """
    overrides = [argument for argument in arguments if is_override(argument)]
    flags = _with_whole_paths([argument for argument in arguments if not is_override(argument)])
    trusts = str(last_value("trust", overrides)).lower() == "true"  # as typed now; what the folder has does not count
    for key, expand in (("resume", _expand_run), ("sweep.resume", _expand_sweep)):
        folder = last_value(key, overrides)
        if folder in (None, "null") or KEEP_HYDRA_FOLDER in arguments:
            continue
        try:
            if not folder:
                raise ValueError(f"name a {'sweep' if '.' in key else 'run'} folder")
            now = read_all(without("trust", without(key, overrides)))
            return expand(Path(folder).resolve(), flags, now, trusts)
        except ValueError as error:
            raise CommandError(f"{key}={folder}: {error}") from error
    return [*flags, *overrides]


def _with_whole_paths(flags: list[str]) -> list[str]:
    """``--config-dir`` as one word with a path that holds in any working directory: a sweep keeps it for later."""
    words = iter(flags)
    whole = []
    for word in words:
        name, mark, folder = word.partition("=")
        if name in ("--config-dir", "-cd"):
            folder = folder if mark else next(words, "")
            word = f"--config-dir={Path(folder).absolute()}"
        whole.append(word)
    return whole


def _expand_run(folder: Path, flags: list[str], now: list[Override], trusts: bool) -> list[str]:
    if MULTIRUN & set(flags):
        raise ValueError("one run is resumed at a time, without -m")
    for override in now:
        if not override.key.startswith(MAY_CHANGE):
            raise ValueError(f"{override.text} would make another run of it; only {', '.join(MAY_CHANGE)} may change")
    recorded = without("trust", records.overrides_to_resume(folder))
    if not trusts:
        check_run(folder, recorded, _config_folders(flags))
    earlier = _unchanged(recorded, now)
    # Hydra is kept from writing .hydra: a mistake typed now must not spoil what the folder has. The mode is set because
    # the run may be a job of an experiment that is a sweep.
    place = [f'resume="{folder}"', f'hydra.run.dir="{folder}"', "hydra.mode=RUN", KEEP_HYDRA_FOLDER]
    return [*flags, *earlier, *(override.text for override in now), *place]


def _expand_sweep(folder: Path, flags: list[str], now: list[Override], trusts: bool) -> list[str]:
    for override in now:
        if not override.key.startswith(MAY_CHANGE_IN_SWEEP):
            raise ValueError(
                f"{override.text} would make another sweep of it; only sweep.* and the launcher may change"
            )
    try:
        sweep = records.read_sweep(folder)
    except FileNotFoundError as error:
        raise ValueError(f"{folder} is no sweep folder: it has no {records.SWEEP_FILE}") from error
    earlier = sweep.arguments
    for own in ("hydra.sweep.dir", "sweep.resume", "trust"):
        earlier = without(own, earlier)
    if named := _config_folders(flags):  # instead of the one that was named then
        earlier = [argument for argument in earlier if not argument.startswith("--config-dir=")]
    if not trusts:
        check_sweep(folder, earlier, sweep.jobs, named)
    earlier = _unchanged(earlier, now)
    place = [f'sweep.resume="{folder}"', f'hydra.sweep.dir="{folder}"', "hydra.mode=MULTIRUN"]
    return [*[f for f in flags if f not in MULTIRUN], *earlier, *(override.text for override in now), *place]


def _config_folders(flags: list[str]) -> list[Path]:
    """The folders of configs that are named now."""
    return [Path(flag.partition("=")[2]) for flag in flags if flag.startswith("--config-dir=")]


def _unchanged(earlier: Sequence[str], now: Sequence[Override]) -> list[str]:
    """Of the earlier overrides those that nothing typed now replaces, a group with all of its keys."""
    return [old.text for old in read_all(earlier) if not any(new.replaces(old) for new in now)]


def check_run_folder(arguments: Sequence[str]) -> None:
    """Refuse to begin a run or a sweep where another one is: their records would mix.

    Raises:
        CommandError: if one is there.
    """
    named = _folder("hydra.run.dir", arguments)
    if named is not None and KEEP_HYDRA_FOLDER not in arguments:
        held = (records.HYDRA_FOLDER, records.METRICS_FILE, records.CHECKPOINTS, records.LOG_FILE)
        if any((Path(named) / name).exists() for name in held):
            there = f"hydra.run.dir={named}: a run is there already"
            if not any((Path(named) / records.CHECKPOINTS).glob("*.ckpt")):
                raise CommandError(f"{there}, which has no checkpoint to go on from. Remove it, or name another folder")
            raise CommandError(f"{there}. Go on: resume={named}; or name another folder")
    named = _folder("hydra.sweep.dir", arguments)
    if named is not None and _folder("sweep.resume", arguments) is None and (Path(named) / records.SWEEP_FILE).exists():
        raise CommandError(
            f"hydra.sweep.dir={named}: a sweep is there already. Go on: sweep.resume={named}; or name another folder"
        )


def _folder(key: str, arguments: Sequence[str]) -> str | None:
    folder = last_value(key, arguments)
    if folder == "":
        raise CommandError(f"{key}=: name a folder")
    return folder
