"""The command that goes on with a run or a sweep: which overrides it had, and what may be changed now."""

from collections.abc import Sequence
from pathlib import Path

from lit_dl import records
from lit_dl.checks import CommandError
from lit_dl.folders import LOG_FILE

KEEP_HYDRA_FOLDER = "hydra.output_subdir=null"  # also how Lightning starts the other processes of DDP
MAY_CHANGE = ("trainer", "logger", "diagnostics", "early_stopping", "compile", "animate")  # on resuming
MAY_CHANGE_IN_SWEEP = ("sweep.", "hydra/launcher", "hydra.launcher", "hydra.sweeper.n_trials", "hydra.sweeper.n_jobs")
MULTIRUN = {"-m", "--multirun"}


def expand_resume(arguments: Sequence[str]) -> list[str]:
    """Replace ``resume=FOLDER`` and ``sweep.resume=FOLDER`` by what was typed for that run or sweep.

    What is typed now comes last and wins. Flags come first, as argparse wants them.

    Raises:
        CommandError: if there is nothing to resume in the folder, or what is typed would make another run of it.
    """
    overrides = [a for a in arguments if ("=" in a and not a.startswith("-")) or a.startswith("~")]
    flags = _with_whole_paths([a for a in arguments if a not in overrides])
    for key, expand in (("resume", _expand_run), ("sweep.resume", _expand_sweep)):
        folder = next((a.partition("=")[2].strip("'\"") for a in arguments if a.startswith(f"{key}=")), "null")
        if folder == "null" or KEEP_HYDRA_FOLDER in arguments:
            continue
        try:
            if not folder:
                raise ValueError(f"name a {'sweep' if '.' in key else 'run'} folder")
            return expand(Path(folder).resolve(), flags, [o for o in overrides if not o.startswith(f"{key}=")])
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


def _expand_run(folder: Path, flags: list[str], overrides: list[str]) -> list[str]:
    if MULTIRUN & set(flags):
        raise ValueError("one run is resumed at a time, without -m")
    for override in overrides:
        if not override.lstrip("+~").startswith(MAY_CHANGE):
            raise ValueError(f"{override} would make another run of it; only {', '.join(MAY_CHANGE)} may change")
    earlier = _unchanged(records.overrides_to_resume(folder), overrides)
    # Hydra is kept from writing .hydra: a mistake typed now must not spoil what the folder has. The mode is set because
    # the run may be a job of an experiment that is a sweep.
    place = [f'resume="{folder}"', f'hydra.run.dir="{folder}"', "hydra.mode=RUN", KEEP_HYDRA_FOLDER]
    return [*flags, *earlier, *overrides, *place]


def _expand_sweep(folder: Path, flags: list[str], overrides: list[str]) -> list[str]:
    for override in overrides:
        if not override.lstrip("+~").startswith(MAY_CHANGE_IN_SWEEP):
            raise ValueError(f"{override} would make another sweep of it; only sweep.* and the launcher may change")
    try:
        earlier = records.read_sweep(folder).arguments
    except FileNotFoundError as error:
        raise ValueError(f"{folder} is no sweep folder: it has no {records.SWEEP_FILE}") from error
    earlier = [a for a in earlier if not a.startswith(("sweep.resume=", "hydra.sweep.dir="))]
    place = [f'sweep.resume="{folder}"', f'hydra.sweep.dir="{folder}"', "hydra.mode=MULTIRUN"]
    return [*_unchanged(earlier, overrides), *[f for f in flags if f not in MULTIRUN], *overrides, *place]


def _unchanged(earlier: Sequence[str], now: Sequence[str]) -> list[str]:
    """Of the earlier overrides those that nothing typed now replaces, a group with all of its keys."""
    chosen = tuple(f"{group}{mark}" for o in now for group in [o.partition("=")[0]] for mark in ".=")
    return [o for o in earlier if not o.lstrip("+~").startswith(chosen)] if chosen else list(earlier)


def check_run_folder(arguments: Sequence[str]) -> None:
    """Refuse to begin a run or a sweep where another one is: their records would mix.

    Raises:
        CommandError: if one is there.
    """
    named = _named(arguments, "hydra.run.dir")
    if named is not None and KEEP_HYDRA_FOLDER not in arguments:
        held = (records.HYDRA_FOLDER, records.METRICS_FILE, records.CHECKPOINTS, LOG_FILE)
        if any((Path(named) / name).exists() for name in held):
            raise CommandError(
                f"hydra.run.dir={named}: a run is there already. Go on: resume={named}; or name another folder"
            )
    named = _named(arguments, "hydra.sweep.dir")
    if named is not None and _named(arguments, "sweep.resume") is None and (Path(named) / records.SWEEP_FILE).exists():
        raise CommandError(
            f"hydra.sweep.dir={named}: a sweep is there already. Go on: sweep.resume={named}; or name another folder"
        )


def _named(arguments: Sequence[str], key: str) -> str | None:
    named = [a.partition("=")[2].strip("'\"") for a in arguments if a.startswith(f"{key}=")]
    if named and not named[-1]:
        raise CommandError(f"{key}=: name a folder")
    return named[-1] if named else None
