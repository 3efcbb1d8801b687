"""The command line around a job: Hydra, messages instead of stack traces, exit codes, going on with a stopped run."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import hydra
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
    codes: list[int] = []
    typed = list(sys.argv[1:] if arguments is None else arguments)

    def task(cfg: DictConfig) -> None:
        with _environment(FULL_ERROR, wanted):
            codes.append(_do(job, cfg))

    wanted = os.environ.get(FULL_ERROR)
    command, sys.argv = sys.argv, [sys.argv[0], *typed]
    try:
        sys.argv[1:] = _expand_resume(typed)
        with _environment(FULL_ERROR, "1"):  # Hydra then raises, instead of printing a trace and leaving
            hydra.main(version_base="1.3", config_path="pkg://lit_dl.conf", config_name="train")(task)()
    except CommandError as error:
        return _say(error, str(error), WRONG_COMMAND)
    except (HydraException, OmegaConfBaseException) as error:
        return _say(error, explain(error, typed), WRONG_COMMAND)
    except OSError as error:
        return _say(error, f"cannot write the run folder: {error}\nChoose another one: hydra.run.dir=DIR", FAILURE)
    except KeyboardInterrupt:
        return _say(None, "interrupted", INTERRUPTED)
    except SystemExit as leaving:  # of argparse, which has printed its message
        return leaving.code if isinstance(leaving.code, int) else FAILURE
    finally:
        sys.argv = command
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
    if in_sweep:
        console.rule(Text(f"job {HydraConfig.get().job.num}: {HydraConfig.get().job.override_dirname}"), style="dim")
    try:
        job(cfg, folder)
        return OK
    except CommandError as error:
        code = _say(error, str(error), WRONG_COMMAND)
        if in_sweep:
            overrides = list(HydraConfig.get().overrides.task)
            records.write(records.Record("failed", str(error), overrides=overrides), folder)
        else:
            _withdraw(folder)
        return code
    except OSError as error:
        return _say(error, str(error), FAILURE)
    except Exception as error:
        log.exception("the run failed")
        return _say(error, f"{type(error).__name__}: {error}\nThe stack trace is in {folder / 'train.log'}", FAILURE)


def _say(error: BaseException | None, message: str, code: int) -> int:
    if error is not None and os.environ.get(FULL_ERROR) == "1":
        traceback.print_exception(error)
    say_error(message)
    return code


def _withdraw(folder: Path) -> None:
    """Remove what Hydra wrote for a run that could not begin; a folder that holds more is left alone."""
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
    if any((folder / name).exists() for name in (records.METRICS_FILE, records.CHECKPOINTS)):
        return
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (folder / records.HYDRA_FOLDER / name).unlink(missing_ok=True)
    (folder / "train.log").unlink(missing_ok=True)
    for empty in (folder / records.HYDRA_FOLDER, folder, folder.parent, folder.parent.parent):
        if empty == Path.cwd():
            break
        with suppress(OSError):  # not empty, or not there
            empty.rmdir()


def _expand_resume(arguments: list[str]) -> list[str]:
    """Replace ``resume=FOLDER`` by the overrides of that run and its folder; those typed now come last and win.

    Raises:
        CommandError: if there is nothing to resume in the folder.
    """
    resume = next((a.partition("=")[2] for a in arguments if a.startswith("resume=")), "null")
    if resume in ("", "null"):
        return arguments
    folder = Path(resume.strip("'\"")).resolve()
    try:
        earlier = records.overrides_to_resume(folder)
    except ValueError as error:
        raise CommandError(f"resume={resume}: {error}") from error
    typed = [a for a in arguments if not a.startswith("resume=")]
    # Hydra is kept from writing .hydra: a mistake typed now must not spoil what the folder has.
    return [*earlier, *typed, f'resume="{folder}"', f'hydra.run.dir="{folder}"', "hydra.output_subdir=null"]


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
