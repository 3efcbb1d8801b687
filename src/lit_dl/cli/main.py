"""The command line around a job: Hydra, messages instead of stack traces, exit codes."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

import hydra
import yaml
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from lit_dl import records
from lit_dl.cli.disk import not_begun
from lit_dl.cli.help import answer
from lit_dl.cli.hints import explain
from lit_dl.cli.hydra_job import (
    FAILURE,
    FULL_ERROR,
    INTERRUPTED,
    OK,
    WRONG_COMMAND,
    HydraJob,
    find_users_classes,
    say_why,
)
from lit_dl.cli.mistakes import check_typed
from lit_dl.cli.process import place_of, process_put_back
from lit_dl.cli.resume import check_run_folder, expand_resume
from lit_dl.cli.shape import check_choices
from lit_dl.console import console
from lit_dl.errors import CommandError
from lit_dl.run.request import RunRequest
from lit_dl.shell import any_text_printable
from lit_dl.sweeps.grid import GridSweeper
from lit_dl.sweeps.optuna import OptunaSweeper

SPIN = "50000"  # turns that an idle OpenMP thread waits before it sleeps; libgomp's 300,000 starve a busy machine


@any_text_printable()
def run_command(
    function: Callable[[RunRequest], None],
    arguments: Sequence[str] | None = None,
    trial: Callable[[RunRequest], Sequence[str]] | None = None,
) -> int:
    """Compose the config, do one run or each job of a sweep, and give the exit code.

    Args:
        function: does one run; one that can be imported, for the launchers' processes.
        arguments: of the command; None takes them from ``sys.argv``.
        trial: tries out one run without a trace, for each job of a sweep before the first begins; as ``function``.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if (text := answer(typed)) is not None:
            console.print(text, soft_wrap=True)
            return OK
    except CommandError as error:
        return say_why(error, str(error), WRONG_COMMAND)
    find_users_classes()
    for sweeper in (GridSweeper, OptunaSweeper):
        Plugins.instance().register(sweeper)
    job = HydraJob(function, typed, trial)
    with process_put_back():
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
        logging.raiseExceptions = False  # a full disk is said once, not by the log for each line it cannot write
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: recorded, and resumed later
        try:
            code = _call_hydra(job, typed)
        finally:
            records.close_log()
    return max(job.codes, default=OK) if code is None else code


def _call_hydra(job: HydraJob, typed: list[str]) -> int | None:
    """Let Hydra read the arguments and call the job; the exit code of what went wrong on the way, if anything did."""
    try:
        check_typed(typed)
        job.arguments = expand_resume(typed)
        if records.is_first():
            check_run_folder(job.arguments)
        check_choices(job.arguments)
        with process_put_back(), place_of(job.arguments) as place:
            sys.argv[1:] = [*job.arguments, *place]
            os.environ[FULL_ERROR] = "1"  # Hydra then raises, instead of printing a trace and leaving
            hydra.main(version_base="1.3", config_path="pkg://lit_dl.conf", config_name="train")(job)()
        return None
    except CommandError as error:
        return say_why(error, str(error), WRONG_COMMAND)
    except (HydraException, OmegaConfBaseException) as error:
        return say_why(error, explain(error, typed), WRONG_COMMAND)
    except yaml.YAMLError as error:
        return say_why(error, f"a config is not valid YAML: {error}", WRONG_COMMAND)
    except ValueError as error:  # of a sweeper, a resolver or Hydra
        return say_why(error, str(error), WRONG_COMMAND)
    except OSError as error:
        return say_why(error, not_begun(error), FAILURE)
    except (TypeError, AttributeError, AssertionError, LookupError, RecursionError) as error:
        # Of Hydra, where what is typed for its own keys is no such thing.
        own = " ".join(each for each in typed if each.lstrip("+~").startswith("hydra")) or "the command"
        return say_why(error, f"{own}: it cannot be read: {type(error).__name__}: {error}", WRONG_COMMAND)
    except KeyboardInterrupt:
        return say_why(None, "interrupted", INTERRUPTED)
    except SystemExit as leaving:  # of argparse, which has printed its message
        return leaving.code if isinstance(leaving.code, int) else FAILURE
