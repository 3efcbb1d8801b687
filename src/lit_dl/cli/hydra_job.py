"""One job: what Hydra calls, in this process or in a launcher's, and what is said and kept when it fails."""

import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lit_dl import records
from lit_dl.cli.disk import full_disk, lost, why_not_written
from lit_dl.cli.process import process_put_back, using_threads, wait_for_end_of
from lit_dl.console import console, log, only_logged, say_error
from lit_dl.errors import CommandError
from lit_dl.overrides import config_flags, without
from lit_dl.run.request import RunRequest

OK, FAILURE, WRONG_COMMAND, INTERRUPTED = 0, 1, 2, 130  # exit codes
WATCHDOG = "lit_dl watchdog"  # thread of a worker
WAIT_SECONDS = 5.0  # that the first process is given to say what is wrong, before a launcher ends all at the first exit
FULL_ERROR = "HYDRA_FULL_ERROR"  # a user who sets it to 1 gets the stack trace
_at_work = threading.Lock()  # held while this process is at a job

# Here, because a launcher's process has nothing of lit_dl but what it imports to unpickle a HydraJob.
OmegaConf.register_new_resolver("run_name", lambda experiment: experiment or "train", replace=True)
OmegaConf.register_new_resolver("file_name", records.file_name, replace=True)
OmegaConf.register_new_resolver("new_folder", records.new_folder, replace=True, use_cache=True)


class HydraJob:
    """What Hydra calls with a config, for a single run and for each job of a sweep.

    Launchers pickle it and call it in processes of their own; what happened there is known by the run folder alone.

    Args:
        function: does one run; one that can be imported.
        arguments: of the command, as they were typed.
        trial: tries out one run without a trace, and gives the metrics that it would have.
    """

    def __init__(
        self,
        function: Callable[[RunRequest], None],
        arguments: Sequence[str],
        trial: Callable[[RunRequest], Sequence[str]] | None = None,
    ) -> None:
        self.function = function
        self.trial = trial
        self.arguments = list(arguments)
        self.codes: list[int] = []  # exit codes, of the run or of the sweep as a whole
        self.full_error = os.environ.get(FULL_ERROR)  # as the user has it; Hydra is called with another value
        self._pid = os.getpid()
        self._folder = Path.cwd()

    def __call__(self, cfg: DictConfig) -> None:
        """Do one job; only an interruption is raised."""
        if os.getpid() != self._pid:
            self._settle_in()
            os.chdir(self._folder)
            console.quiet = True  # or the lines and bars of several processes would mix
        find_users_classes()
        with process_put_back(), using_threads(cfg.get("threads")), _at_work:
            _set_variable(FULL_ERROR, self.full_error)
            lost.begin()
            request = request_of(cfg)
            if request.is_job:
                self._do_in_sweep(request)
            else:
                self.codes.append(self._do(request))

    def try_out(self, cfg: DictConfig, overrides: Sequence[str]) -> Sequence[str]:
        """See whether a job of a sweep can be, before any has begun.

        Args:
            cfg: the job's, with Hydra's own part.
            overrides: of the job.

        Returns:
            the metrics that it would have; none where that is not known.

        Raises:
            CommandError: if it cannot be.
        """
        if self.trial is None:
            return []
        choices = cfg.hydra.runtime.choices
        own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
        request = RunRequest(own, Path.cwd(), list(overrides), records.named_choices(choices), is_job=True)
        find_users_classes()
        try:
            with process_put_back():
                return self.trial(request)
        except CommandError:
            raise
        except Exception:  # a file that is missing, or what nobody foresaw: the job itself tells it, and its log why
            return []

    def _do_in_sweep(self, request: RunRequest) -> None:
        folder = request.folder
        if (folder.parent / records.STOP_FILE).exists():
            return
        if records.whole_checkpoints(folder)[0]:  # it was stopped, and the sweep or the cluster starts it again
            request.cfg.resume = str(folder)
        own = os.getpid() == self._pid
        with only_logged(), self._as_single_run(request) if own else nullcontext():
            self._do(request)
        if lost.tell(folder):  # what the job itself says of it is in its train.log alone
            self.codes.append(FAILURE)
        gc.collect()  # trainers are full of cycles, and fifty of them would wait for it

    def _settle_in(self) -> None:
        """Make a launcher's process, in which this is the first job, a good neighbour of the others."""
        launcher = HydraConfig.get().runtime.choices["hydra/launcher"]
        if launcher == "submitit_local":  # starts all jobs at once, each with a thread for every core
            os.environ.setdefault("OMP_NUM_THREADS", "1")
        if launcher == "joblib" and not any(thread.name == WATCHDOG for thread in threading.enumerate()):
            threading.Thread(target=_leave_with, args=(self._pid,), name=WATCHDOG, daemon=True).start()

    def _do(self, request: RunRequest) -> int:
        try:
            with records.alone_in(request.folder):
                if records.is_first():
                    records.remove_parts(request.folder)
                    if request.is_job and request.cfg.resume is None:  # it may have been stopped in its first epoch
                        records.remove_curves(request.folder)
                code = self._try(request)
        except CommandError as error:  # another process is at work there
            return say_why(error, str(error), WRONG_COMMAND)
        if code == WRONG_COMMAND and not request.is_job and request.cfg.resume is None:
            records.withdraw(request.folder)  # now, as nobody holds it any more
        return code

    def _try(self, request: RunRequest) -> int:
        folder = request.folder
        try:
            self.function(request)
            return FAILURE if lost.tell(folder) else OK
        except CommandError as error:
            code = say_why(error, str(error), WRONG_COMMAND)
            if not records.is_first():
                return code
            if request.is_job:
                record = request.new_record()
                record.stop_reason = str(error)
                records.write_run(record, folder)
            return code
        except Exception as error:
            log.exception("the run failed")
            disk = full_disk(error) or error
            if isinstance(disk, OSError):
                return say_why(error, why_not_written(disk, folder), FAILURE)
            log_file = folder / records.LOG_FILE
            where = f"is in {log_file}" if records.is_first() else f"comes with {FULL_ERROR}=1"
            message = f"{type(error).__name__}: {error}\nThe stack trace {where}"
            return say_why(error, message, FAILURE)
        finally:
            _leave_process_group()

    @contextmanager
    def _as_single_run(self, request: RunRequest) -> Iterator[None]:
        """Let this process look as if the job were its only run.

        Lightning starts DDP's other processes with this one's arguments, which would start the sweep again, and leaves
        variables behind that would keep the next job from starting any.
        """
        overrides = without("resume", request.overrides)
        place = ["hydra.mode=RUN", f'hydra.run.dir="{request.folder}"']
        with process_put_back():
            sys.argv[1:] = [*config_flags(self.arguments), *overrides, *place]
            yield


def request_of(cfg: DictConfig) -> RunRequest:
    """The config, and what Hydra knows beside it while it calls a job."""
    hydra = HydraConfig.get()
    return RunRequest(
        cfg,
        Path(hydra.runtime.output_dir),
        as_typed(hydra.overrides.task),
        records.named_choices(hydra.runtime.choices),
        hydra.runtime.choices["hydra/launcher"],
        is_job=hydra.mode != RunMode.RUN,  # a job whose experiment was named by another experiment has no mode
    )


def as_typed(overrides: Any) -> list[str]:
    """Overrides as they were typed; read one by one, a ``${seed}`` in them would be looked for among Hydra's keys."""
    texts = OmegaConf.to_container(overrides, resolve=False)
    return [str(text) for text in texts] if isinstance(texts, list) else []


def say_why(error: BaseException | None, message: str, code: int) -> int:
    """Say what went wrong, with a stack trace if the user asked for it, and give the exit code back.

    A run's other processes say only what the first one may not know: a failure.
    """
    if not records.is_first():
        if code == WRONG_COMMAND:
            time.sleep(WAIT_SECONDS)
        if code != FAILURE:
            return code
        message = f"process {records.process_number()}: {message}"
    if error is not None and os.environ.get(FULL_ERROR) == "1":
        traceback.print_exception(error)
    say_error(message)
    return code


def find_users_classes() -> None:
    """Look for classes in the working directory, as ``python -m`` does and console scripts and launchers do not."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, "")


def _leave_with(parent: int) -> None:
    """End this process when its parent has been killed, after the job it is at: it would begin others, or idle on."""
    wait_for_end_of(parent)
    with _at_work:
        os._exit(FAILURE)


def _set_variable(name: str, value: str | None) -> None:
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def _leave_process_group() -> None:
    """End what DDP's processes talk through: the next job needs its own, and a process that ends with it may crash."""
    if "torch" not in sys.modules:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
