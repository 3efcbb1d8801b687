"""The command line around a job: Hydra, messages instead of stack traces, exit codes, going on with a stopped run."""

import errno
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.text import Text

from lit_dl import records
from lit_dl.checks import explain
from lit_dl.console import console, log, say_error

OK, FAILURE, WRONG_COMMAND, INTERRUPTED = 0, 1, 2, 130  # exit codes
FULL_ERROR = "HYDRA_FULL_ERROR"  # a user who sets it to 1 gets the stack trace
SPIN = "50000"  # turns that an idle OpenMP thread waits before it sleeps; libgomp's 300,000 starve a busy machine
KEEP_HYDRA_FOLDER = "hydra.output_subdir=null"  # also how Lightning starts the other processes of DDP
MAY_CHANGE = ("trainer", "logger", "diagnostics", "early_stopping", "compile")  # on resuming
LOCK_FILE = ".lock"  # in the run folder; freed by the system when its process is killed
LOG_FILE = "train.log"  # as conf/hydra/job_logging has it
NAME_LENGTH = 120  # of a job's folder; file systems take 255 bytes
Job = Callable[[DictConfig, Path], None]


class CommandError(Exception):
    """The command asks for what cannot be had; the message says what, and the way out."""


def run_command(job: Job, arguments: Sequence[str] | None = None) -> int:
    """Compose the config, call ``job(cfg, run_folder)`` once or for each job of a sweep, and give the exit code.

    Args:
        arguments: of the command; None takes them from ``sys.argv``.
    """
    OmegaConf.register_new_resolver("run_name", lambda experiment: experiment or "train", replace=True)
    OmegaConf.register_new_resolver("file_name", _file_name, replace=True)
    OmegaConf.register_new_resolver("new_folder", _new_folder, replace=True, use_cache=True)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, "")  # python -m looks for a user's own classes here, the console script would not
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    logging.raiseExceptions = False  # a full disk is said once, not by the log for each line it cannot write
    codes: list[int] = []
    typed = list(sys.argv[1:] if arguments is None else arguments)

    def task(cfg: DictConfig) -> None:
        with _environment(FULL_ERROR, wanted):
            codes.append(_do(job, cfg))

    wanted = os.environ.get(FULL_ERROR)
    command, sys.argv = sys.argv, [sys.argv[0], *typed]
    terminate = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: recorded, and resumed later
    try:
        sys.argv[1:] = _expand_resume(typed)
        _check_run_folder(sys.argv[1:])
        with _environment(FULL_ERROR, "1"):  # Hydra then raises, instead of printing a trace and leaving
            hydra.main(version_base="1.3", config_path="pkg://lit_dl.conf", config_name="train")(task)()
    except CommandError as error:
        return _say(error, str(error), WRONG_COMMAND)
    except (HydraException, OmegaConfBaseException) as error:
        return _say(error, explain(error, typed), WRONG_COMMAND)
    except yaml.YAMLError as error:
        return _say(error, f"a config is no YAML: {error}", WRONG_COMMAND)
    except ValueError as error:  # so Hydra answers group=null
        groups = ", ".join(a for a in typed if a.endswith("=null"))
        return _say(error, f"{groups or error}: a group takes the name of a choice, such as off", WRONG_COMMAND)
    except OSError as error:
        return _say(error, f"cannot write the run folder: {error}\nChoose another one: hydra.run.dir=DIR", FAILURE)
    except KeyboardInterrupt:
        return _say(None, "interrupted", INTERRUPTED)
    except SystemExit as leaving:  # of argparse, which has printed its message
        return leaving.code if isinstance(leaving.code, int) else FAILURE
    finally:
        sys.argv = command
        signal.signal(signal.SIGTERM, terminate)
    return max(codes, default=OK)


@contextmanager
def command_errors(where: str) -> Iterator[None]:
    """Turn what goes wrong while objects are built from the config into a CommandError that begins with ``where``."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (ValueError, TypeError, RuntimeError, ImportError, HydraException, MisconfigurationException) as error:
        cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
        raise CommandError(f"{where}: {cause}") from error


def _do(job: Job, cfg: DictConfig) -> int:
    folder = Path(HydraConfig.get().runtime.output_dir)
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    resuming = cfg.resume is not None
    if in_sweep:
        console.rule(Text(f"job {HydraConfig.get().job.num}: {HydraConfig.get().job.override_dirname}"), style="dim")
    try:
        with _alone_in(folder):
            job(cfg, folder)
        return OK
    except CommandError as error:
        code = _say(error, str(error), WRONG_COMMAND)
        if in_sweep:
            overrides = list(HydraConfig.get().overrides.task)
            records.write(records.Record("failed", str(error), overrides=overrides), folder)
        elif not resuming:
            _withdraw(folder)
        return code
    except Exception as error:
        log.exception("the run failed")
        if full := _full_disk(error):
            return _say(error, f"{full.strerror}: {folder}", FAILURE)
        if isinstance(error, OSError):
            return _say(error, str(error), FAILURE)
        return _say(error, f"{type(error).__name__}: {error}\nThe stack trace is in {folder / LOG_FILE}", FAILURE)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the run folder, so that a run that is still going is not resumed by a second process.

    Raises:
        CommandError: if another process holds it.
    """
    from filelock import FileLock, Timeout

    if os.environ.get("LOCAL_RANK", "0") != "0":  # DDP's other processes work for the one that holds it
        yield
        return
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise CommandError(f"{folder}: another process is at work on this run; wait for it, or stop it") from error
    try:
        yield
    finally:
        lock.release()


def _say(error: BaseException | None, message: str, code: int) -> int:
    if error is not None and os.environ.get(FULL_ERROR) == "1":
        traceback.print_exception(error)
    say_error(message)
    return code


def _withdraw(folder: Path) -> None:
    """Remove what was written for a run that could not begin, in a folder where no run was before."""
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (folder / records.HYDRA_FOLDER / name).unlink(missing_ok=True)
    for name in (LOG_FILE, LOCK_FILE, "hparams.yaml", *(path.name for path in folder.glob("events.out.tfevents.*"))):
        (folder / name).unlink(missing_ok=True)
    for empty in (
        folder / records.CHECKPOINTS,
        folder / records.HYDRA_FOLDER,
        folder,
        folder.parent,
        folder.parent.parent,
    ):
        if empty == Path.cwd():
            break
        with suppress(OSError):  # not empty, or not there
            empty.rmdir()


def _full_disk(error: BaseException | None) -> OSError | None:
    """The error of a full disk among those that led to ``error``."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return error
        error = error.__cause__ or error.__context__
    return None


def _expand_resume(arguments: list[str]) -> list[str]:
    """Replace ``resume=FOLDER`` by the overrides of that run and its folder; those typed now come last and win.

    Raises:
        CommandError: if there is nothing to resume in the folder, or what is typed would make another run of it.
    """
    resume = next((a.partition("=")[2].strip("'\"") for a in arguments if a.startswith("resume=")), "null")
    if resume == "null" or KEEP_HYDRA_FOLDER in arguments:
        return arguments
    typed = [a for a in arguments if not a.startswith("resume=")]
    overrides = [a for a in typed if "=" in a and not a.startswith("-")]
    flags = [a for a in typed if a not in overrides]  # first, for argparse
    folder = Path(resume).resolve()
    try:
        if not resume:
            raise ValueError("name a run folder")
        if {"-m", "--multirun"} & set(flags):
            raise ValueError("one run is resumed at a time, without -m")
        for override in overrides:
            if not override.lstrip("+~").startswith(MAY_CHANGE):
                raise ValueError(f"{override} would make another run of it; only {', '.join(MAY_CHANGE)} may change")
        chosen = tuple(f"{group}{mark}" for o in overrides for group in [o.partition("=")[0]] for mark in ".=")
        earlier = [o for o in records.overrides_to_resume(folder) if not o.lstrip("+~").startswith(chosen)]
    except ValueError as error:
        raise CommandError(f"resume={resume}: {error}") from error
    # Hydra is kept from writing .hydra: a mistake typed now must not spoil what the folder has.
    return [*flags, *earlier, *overrides, f'resume="{folder}"', f'hydra.run.dir="{folder}"', KEEP_HYDRA_FOLDER]


def _check_run_folder(arguments: Sequence[str]) -> None:
    """Refuse to begin a run where another one is: their records would mix."""
    named = [a.partition("=")[2].strip("'\"") for a in arguments if a.startswith("hydra.run.dir=")]
    if not named or KEEP_HYDRA_FOLDER in arguments:
        return
    if not named[-1]:
        raise CommandError("hydra.run.dir=: name a folder")
    held = (records.HYDRA_FOLDER, records.METRICS_FILE, records.CHECKPOINTS, LOG_FILE)
    if any((Path(named[-1]) / name).exists() for name in held):
        raise CommandError(
            f"hydra.run.dir={named[-1]}: a run is there already. Go on: resume={named[-1]}; or name another folder"
        )


def _file_name(overrides: str) -> str:
    """Overrides as part of a folder's name, for any file system."""
    return re.sub(r"[^\w.=+-]+", "_", overrides.replace("/", "-"))[:NAME_LENGTH].strip("_.")


def _new_folder(path: str) -> str:
    """Make a folder of that name or, where another run has begun in the same second, with a number behind it."""
    for name in (path, *(f"{path}_{number}" for number in range(2, 1000))):
        try:
            Path(name).mkdir(parents=True)
            return name
        except FileExistsError:
            continue
        except OSError:
            break  # Hydra meets the same error, and it is told from there
    return path


@contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    """Set a variable for a while; None unsets it."""
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before
