"""A sweep under way: which jobs are still to do, how they are launched, and what the user sees meanwhile."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from lit_dl import records
from lit_dl.console import job_line, relative, say, say_error
from lit_dl.errors import CommandError, wrong_number
from lit_dl.metrics import NAMES, usual_metric
from lit_dl.overrides import config_flags
from lit_dl.shell import join

LOOK_SECONDS = 0.3  # between two looks for jobs that have ended
STOP_SECONDS = 5.0  # that a launcher's processes are given to end
BAD = ("failed", "diverged")  # statuses at which sweep.fail_fast stops
FINISHED = ("completed", "early_stopped", "diverged")


def check_sweep(cfg: DictConfig) -> None:
    """Check what concerns a sweep as a whole.

    Raises:
        CommandError: names the key, the value and what is allowed.
    """
    if cfg.sweep.metric not in NAMES:
        why = "; the test set is not for choosing" if str(cfg.sweep.metric).startswith("test/") else ""
        raise CommandError(f"sweep.metric={cfg.sweep.metric}: it can be {', '.join(NAMES)}{why}")
    if wrong := wrong_number(cfg.sweep.accuracy, 0, 1):
        raise CommandError(f"sweep.accuracy={cfg.sweep.accuracy}: {wrong}")
    if not isinstance(cfg.sweep.fail_fast, bool):
        raise CommandError(f"sweep.fail_fast={cfg.sweep.fail_fast}: it must be true or false")


class SweepRunner:
    """The jobs of a sweep and their folders: what is still to do, and launching it.

    Everything that is known of a job is read from its folder, so that it is the same whether the job ran here, in a
    launcher's process or on another machine, and whether the sweep was stopped in between.

    Args:
        config: Hydra's, of the sweep as a whole.
        launcher: Hydra's.
        job: what the launcher calls, lit_dl.cli.hydra_job.HydraJob.
        total: how many jobs there will be, for names and progress.
    """

    def __init__(self, config: DictConfig, launcher: Launcher, job: Any, total: int) -> None:
        if (started := records.started_processes()) > 1:
            raise CommandError(
                f"a sweep is led by one process, and {started} were started. Leave out torchrun or srun: with "
                "trainer.devices=N each job starts the processes that it needs"
            )
        check_sweep(config)
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.launcher = launcher
        self.one_by_one = config.hydra.runtime.choices["hydra/launcher"] == "basic"  # in this process
        self.job = job
        self.total = total
        self.fail_fast: bool = config.sweep.fail_fast
        if config.sweep.resume is None:
            self.plan = records.SweepRecord(job.arguments, config.sweep.metric, config.sweep.accuracy)
        else:
            self.plan = records.read_sweep(self.folder)
            self.plan.metric, self.plan.accuracy = config.sweep.metric, config.sweep.accuracy
        self.folder.mkdir(parents=True, exist_ok=True)
        self._launcher_failed = False
        self._started = time.monotonic()
        self._ended: list[str] = []  # jobs that were launched now and have ended
        self._earlier = 0  # jobs that had finished before

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the sweep folder, and report at the end, also when the user stops the sweep.

        Raises:
            CommandError: if another process is at work on the same sweep.
        """
        with records.alone_in(self.folder):
            (self.folder / records.STOP_FILE).unlink(missing_ok=True)
            try:
                yield
            finally:
                self._end()

    def add(self, jobs: Mapping[str, Sequence[str]]) -> None:
        """Add jobs to those planned, by the names of their folders."""
        self.plan.jobs.update({name: list(overrides) for name, overrides in jobs.items()})
        records.write_sweep(self.plan, self.folder)

    def begin(self, varied: Sequence[str]) -> list[str]:
        """Say what is going to be done; gives the planned jobs that have not finished."""
        left = [name for name in self.plan.jobs if self.status(name) not in FINISHED]
        self._earlier = len(self.plan.jobs) - len(left)
        over = f" over {', '.join(key.lstrip('+~') for key in varied)}" if varied else ""
        say(f"{'sweep':<13}{self.total} job{'s' if self.total != 1 else ''}{over}")
        say(f"{'sweep folder':<13}{relative(self.folder)}")
        if self._earlier:
            say(f"{'resumed':<13}{self._earlier} have finished; to do: {', '.join(left) or 'none'}")
        say("")
        return left

    def status(self, name: str) -> str:
        """Of a job: that of its record, or ``running``, ``unfinished`` or ``not started`` if it has none."""
        try:
            return records.read_run(self.folder / name).status
        except (FileNotFoundError, ValueError):
            if not (self.folder / name).exists():
                return "not started"
            return "running" if records.is_running(self.folder / name) else "unfinished"

    @property
    def stopped(self) -> bool:
        """Whether no further job is to begin."""
        return self._launcher_failed or (self.folder / records.STOP_FILE).exists()

    def launch(self, names: Sequence[str]) -> None:
        """Run jobs, one after the other or as the launcher does, and wait for those that are at work already.

        Raises:
            KeyboardInterrupt: if the user stopped them; those that were running are recorded as interrupted.
        """
        held = [name for name in names if records.is_running(self.folder / name)]
        self._launch([name for name in names if name not in held])
        if held and not self.stopped:
            say(f"waiting for {', '.join(held)}: started before, and still at work")
            while any(records.is_running(self.folder / name) for name in held):
                time.sleep(LOOK_SECONDS)
            self._look([name for name in held if self.status(name) in FINISHED])
            self._launch([name for name in held if self.status(name) not in FINISHED])

    def _launch(self, names: Sequence[str]) -> None:
        if not names:
            return
        for name in names:
            (self.folder / name / records.METRICS_FILE).unlink(missing_ok=True)  # of an attempt that did not finish
        try:
            with self._watch(names):
                for batch in ([name] for name in names) if self.one_by_one else (names,):
                    if not self.stopped:
                        number = list(self.plan.jobs).index(batch[0])
                        self.launcher.launch([self._overrides(name) for name in batch], number)
                        self._look(names)
        except KeyboardInterrupt:
            self._stop_workers(names)
            self._settle(names, "interrupted", "stopped with its sweep")
            raise
        except Exception as error:  # of a launcher: a worker that was killed, a cluster that does not answer
            self._launcher_failed = True
            self.job.codes.append(1)
            say_error(f"the launcher stopped: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        self._settle(names, "failed", "its process ended without a record; the launcher's log may say why")
        self._look(names)

    def _end(self) -> None:
        """Write the report, print it, and set the exit code."""
        from lit_dl.report import report

        if not self.plan.jobs:
            return
        statuses = [self.status(name) for name in self.plan.jobs]
        if any(status not in FINISHED for status in statuses):
            self.job.codes.append(1)
        report([self.folder], self.plan.metric, self.plan.accuracy, self.folder)
        if left := Counter(status for status in statuses if status not in FINISHED):
            how = ", ".join(f"{count} {status}" for status, count in left.items())
            what = f"{left.total()} of {self.total} jobs have no result: {how}"
            if self.stopped and not self._launcher_failed:
                what += "; the sweep was stopped at the first that failed or diverged, as sweep.fail_fast asks for"
            if left["running"]:
                what += "; those running go on by themselves, and resuming waits for them"
            again = [flag for flag in config_flags(self.job.arguments) if flag.startswith("--")]
            command = join([*again, f"sweep.resume={relative(self.folder)}"])
            say_error(f"{what}\nTo do those: python -m lit_dl.train {command}")

    def _overrides(self, name: str) -> list[str]:
        # The folders are set here, once: launchers on other machines may have another working directory, and what they
        # resolved by themselves could be another folder for each process.
        job = self.folder / name
        folders = {"sweep.dir": self.folder, "sweep.subdir": name, "run.dir": job}
        return [*self.plan.jobs[name], *(f'hydra.{key}="{folder}"' for key, folder in folders.items())]

    @contextmanager
    def _watch(self, names: Sequence[str]) -> Iterator[None]:
        """Look for jobs that have ended while a launcher is at work that has all of them."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(LOOK_SECONDS):
                self._look(names)

        thread = threading.Thread(target=watch, daemon=True)
        if not self.one_by_one:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if not self.one_by_one:
                thread.join()

    def _look(self, names: Sequence[str]) -> None:
        """Say which jobs have ended since the last look."""
        for name in names:
            if name in self._ended or not (self.folder / name / records.METRICS_FILE).is_file():
                continue
            record = records.read_run(self.folder / name)
            self._ended.append(name)
            done, passed = len(self._ended), time.monotonic() - self._started
            left = self.total - self._earlier - done
            if record.status in BAD and self.fail_fast:
                (self.folder / records.STOP_FILE).touch()
            number = f"job {self._earlier + done} of {self.total}"
            metric = usual_metric(self.plan.metric, record.metrics)
            job_line(number, name, record, metric, passed / done * left)

    def _stop_workers(self, names: Sequence[str]) -> None:
        """Give a launcher's processes time to end; those of submitit go on by themselves."""
        if "ray" in sys.modules:
            sys.modules["ray"].shutdown()
        deadline = time.monotonic() + STOP_SECONDS
        while any(records.is_running(self.folder / name) for name in names) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)

    def _settle(self, names: Sequence[str], status: records.Status, reason: str) -> None:
        """Write a record for each job that began and left none."""
        for name in names:
            folder = self.folder / name
            # Not its lock: on Windows that is gone as soon as somebody has seen that it is free.
            begun = (folder / records.HYDRA_FOLDER).exists() and not (folder / records.METRICS_FILE).exists()
            if begun and not records.is_running(folder):
                records.write_run(records.RunRecord(status, reason, overrides=self.plan.jobs[name]), folder)
