"""The command line around a job: Hydra, messages instead of stack traces, exit codes."""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import hydra
import yaml
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from lit_dl.checks import CommandError, explain
from lit_dl.grid import GridSweeper
from lit_dl.job import (
    FAILURE,
    FULL_ERROR,
    INTERRUPTED,
    OK,
    WRONG_COMMAND,
    Job,
    Task,
    environment,
    find_users_classes,
    say_why,
)
from lit_dl.resume import check_run_folder, expand_resume
from lit_dl.study import OptunaSweeper

SPIN = "50000"  # turns that an idle OpenMP thread waits before it sleeps; libgomp's 300,000 starve a busy machine


def run_command(job: Job, arguments: Sequence[str] | None = None) -> int:
    """Compose the config, call ``job(cfg, run_folder)`` once or for each job of a sweep, and give the exit code.

    Args:
        job: a function that can be imported, for the launchers' processes.
        arguments: of the command; None takes them from ``sys.argv``.
    """
    find_users_classes()
    for sweeper in (GridSweeper, OptunaSweeper):
        Plugins.instance().register(sweeper)
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    logging.raiseExceptions = False  # a full disk is said once, not by the log for each line it cannot write
    typed = list(sys.argv[1:] if arguments is None else arguments)
    task = Task(job, typed)
    command, sys.argv = sys.argv, [sys.argv[0], *typed]
    terminate = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: recorded, and resumed later
    try:
        sys.argv[1:] = task.arguments = expand_resume(typed)
        check_run_folder(task.arguments)
        with environment(FULL_ERROR, "1"):  # Hydra then raises, instead of printing a trace and leaving
            hydra.main(version_base="1.3", config_path="pkg://lit_dl.conf", config_name="train")(task)()
    except CommandError as error:
        return say_why(error, str(error), WRONG_COMMAND)
    except (HydraException, OmegaConfBaseException) as error:
        return say_why(error, explain(error, typed), WRONG_COMMAND)
    except yaml.YAMLError as error:
        return say_why(error, f"a config is no YAML: {error}", WRONG_COMMAND)
    except ValueError as error:  # so Hydra answers group=null
        groups = ", ".join(a for a in typed if a.endswith("=null"))
        return say_why(error, f"{groups or error}: a group takes the name of a choice, such as off", WRONG_COMMAND)
    except OSError as error:
        message = f"cannot write the run folder: {error}\nChoose another one: hydra.run.dir=DIR"
        return say_why(error, message, FAILURE)
    except KeyboardInterrupt:
        return say_why(None, "interrupted", INTERRUPTED)
    except SystemExit as leaving:  # of argparse, which has printed its message
        return leaving.code if isinstance(leaving.code, int) else FAILURE
    finally:
        sys.argv = command
        signal.signal(signal.SIGTERM, terminate)
    return max(task.codes, default=OK)


@contextmanager
def command_errors(where: str) -> Iterator[None]:
    """Turn what goes wrong while objects are built from the config into a CommandError that begins with ``where``."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (ValueError, TypeError, RuntimeError, ImportError, HydraException, MisconfigurationException) as error:
        cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
        if isinstance(cause, OSError):  # of files, not of the config: a data set's that is the base of another
            raise OSError(str(cause)) from error
        raise CommandError(f"{where}: {cause}") from error
