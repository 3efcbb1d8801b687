"""A sweep that searches: Optuna proposes each job from the results of those before."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from lit_dl import records
from lit_dl.console import relative, say
from lit_dl.errors import CommandError, how_to_install, wrong_count
from lit_dl.metrics import NAMES, is_better_larger
from lit_dl.overrides import without
from lit_dl.shell import quote
from lit_dl.sweeps.grid import PLUGINS, JobSweeper, check_jobs, job_name, parse
from lit_dl.sweeps.runner import FINISHED, SweepRunner

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage

JOB = "job"  # user attribute of a trial: the path of its job's folder
DATABASE = "study.db"
MOST_SEED = 2**31 - 1  # so that the seed of a sweep that goes on, which is this and its jobs, stays below 2**32
EXAMPLES = {"storage": "sqlite:///study.db", "study_name": "lit_dl"}


class OptunaSweeper(JobSweeper):
    """Jobs proposed by Optuna, which see the results of those before (or at random, ``sampler="random"``).

    A job that fails or diverges counts as the worst value, so that the search avoids its like. The study is stored, by
    default in the sweep folder: ``sweep.resume`` goes on with it, and a study of the same name in the same ``storage``
    is continued by another sweep. In place of the published ``hydra-optuna-sweeper``: its newest release is bound to
    Optuna 2, whose storage fails with SQLAlchemy 2, and ends the study at the first failed job.

    Args:
        n_trials: jobs in this sweep, from 1 up.
        n_jobs: how many are launched at a time.
        sampler: ``tpe`` (Bergstra et al. 2011) or ``random``.
        seed: of the sampler.
        direction: ``minimize``, ``maximize``, or None for what the metric asks for.
        storage: URL of a database; None is a file in the sweep folder.
        study_name: of the study in the storage.
        params: what an experiment varies, key to values as on the command line.

    Raises:
        CommandError: for an argument out of its range.
    """

    __module__ = PLUGINS

    def __init__(
        self,
        n_trials: int = 20,
        n_jobs: int = 1,
        sampler: str = "tpe",
        seed: int = 0,
        direction: str | None = None,
        storage: str | None = None,
        study_name: str = "lit_dl",
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(params)
        for name, count in (("n_trials", n_trials), ("n_jobs", n_jobs)):
            if wrong := wrong_count(count):
                raise CommandError(f"hydra.sweeper.{name}={count}: {wrong}")
        if sampler not in ("tpe", "random"):
            raise CommandError(f"hydra.sweeper.sampler={sampler}: it can be tpe or random")
        if direction not in (None, "minimize", "maximize"):
            raise CommandError(f"hydra.sweeper.direction={direction}: it can be minimize, maximize or null")
        if wrong := wrong_count(seed, 0, MOST_SEED):
            raise CommandError(f"hydra.sweeper.seed={seed}: {wrong}")
        for name, text in (("storage", storage), ("study_name", study_name)):
            if (text is not None or name == "study_name") and not (isinstance(text, str) and text):
                raise CommandError(f"hydra.sweeper.{name}={text}: it must be text, such as {EXAMPLES[name]}")
        self.n_trials, self.n_jobs = n_trials, n_jobs
        self.sampler, self.seed = sampler, seed
        self.direction, self.storage, self.study_name = direction, storage, study_name

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs and report.

        Raises:
            CommandError: if Optuna is not there, or there is no such sweep.
            KeyboardInterrupt: if the user stopped it; the report has been written then.
        """
        assert self.config is not None
        assert self.launcher is not None
        try:
            import optuna
        except ImportError as error:
            raise CommandError(f"hydra/sweeper=optuna needs Optuna. {how_to_install('sweep')}") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        overrides = parse(self.context, self.params, without("sweep.resume", arguments))
        space = {key: distribution(o) for key, o in overrides.items() if o.is_sweep_override()}
        fixed = [f"{k}={o.get_value_element_as_str()}" for k, o in overrides.items() if not o.is_sweep_override()]
        if not space:
            raise CommandError(
                "hydra/sweeper=optuna: nothing to search. Give a key several values or an interval, such as "
                '"optimizer.lr=tag(log,interval(1e-4,1))"'
            )
        check_jobs(self.config, self.context, [[*fixed, *job] for job in corners(space)], self.job)
        storage = self._open_storage()
        run = SweepRunner(self.config, self.launcher, self.job, self.n_trials)
        maximize = self.direction == "maximize" if self.direction else is_better_larger(run.plan.metric)
        study = optuna.create_study(
            storage=storage or f"sqlite:///{run.folder / DATABASE}",
            study_name=self.study_name,
            direction="maximize" if maximize else "minimize",
            load_if_exists=True,
        )
        if len(study.trials) > len(run.plan.jobs):
            say(f"{'study':<13}{self.study_name} goes on after {len(study.trials)} trials")
        with run.open():
            run.begin(list(space))
            with _database_errors(run.folder):
                self._search(study, run, space, fixed, worst=-math.inf if maximize else math.inf)

    def _sampler(self, others: int, number: int) -> "BaseSampler":
        """What proposes a job: its draws depend on the seed, on how many jobs other sweeps had, and on its number."""
        import numpy as np
        from optuna.samplers import RandomSampler, TPESampler

        seed = int(np.random.SeedSequence([self.seed, others, number]).generate_state(1)[0])
        return TPESampler(seed=seed) if self.sampler == "tpe" else RandomSampler(seed=seed)

    def _open_storage(self) -> "RDBStorage | None":
        """The database that was named.

        Raises:
            CommandError: if it cannot be opened.
        """
        if self.storage is None:
            return None
        from optuna.storages import RDBStorage

        try:
            return RDBStorage(self.storage)
        except Exception as error:  # of SQLAlchemy, of the database's driver, or of Optuna
            why = str(error).partition("\n")[0]
            raise CommandError(
                f"hydra.sweeper.storage={self.storage}: this database cannot be opened: {why}\n"
                f"It must be a URL such as {EXAMPLES['storage']}, in a folder that exists"
            ) from error

    def _search(
        self, study: "Study", run: SweepRunner, space: dict[str, "BaseDistribution"], fixed: list[str], worst: float
    ) -> None:
        numbers = {t.user_attrs.get(JOB): t.number for t in study.trials if not t.state.is_finished()}
        named = [t.user_attrs[JOB] for t in study.trials if JOB in t.user_attrs]
        others = sum(Path(path).parent != run.folder for path in named)  # of other sweeps in the same study
        paths = {name: str(run.folder / name) for name in run.plan.jobs}
        left = {name: numbers[path] for name, path in paths.items() if path in numbers}  # of a sweep that was stopped
        while not run.stopped and (left or len(run.plan.jobs) < self.n_trials):
            # Jobs come in whole batches, and what is drawn for one depends on its number and on the results before its
            # batch alone: a search that was stopped goes on with the jobs that it would have had.
            while (not left or len(run.plan.jobs) % self.n_jobs) and len(run.plan.jobs) < self.n_trials:
                study.sampler = self._sampler(others, len(run.plan.jobs))
                trial = study.ask(space)
                job = [*fixed, *(f"{key}={value}" for key, value in trial.params.items())]
                name = job_name(len(run.plan.jobs), self.n_trials, job, list(space))
                trial.set_user_attr(JOB, str(run.folder / name))
                run.add({name: job})
                left[name] = trial.number
            batch = dict(list(left.items())[: self.n_jobs])
            run.launch([name for name in batch if run.status(name) not in FINISHED])
            for name, number in batch.items():
                if run.status(name) in get_args(records.Status):
                    record = records.read_run(run.folder / name)
                    if record.status in records.GOOD and run.plan.metric not in record.metrics:
                        names = ", ".join(name for name in NAMES if name in record.metrics)
                        raise CommandError(f"sweep.metric={run.plan.metric}: these jobs have {names}")
                    study.tell(number, value_of(record, run.plan.metric, worst))
                del left[name]


@contextmanager
def _database_errors(folder: Path) -> Iterator[None]:
    """Turn what the study's database could not do into an OSError with the way on.

    Raises:
        OSError: if it could not be read or written, such as on a full disk.
    """
    from optuna.exceptions import StorageInternalError

    try:
        yield
    except StorageInternalError as error:
        why = str(getattr(error.__cause__, "orig", None) or error.__cause__ or error)
        way = f"Once it is mended, go on: python -m lit_dl.train sweep.resume={quote(relative(folder))}"
        raise OSError(f"the study's database: {why}\n{way}") from error


def value_of(record: records.RunRecord, metric: str, worst: float) -> float:
    """What a job is worth: its metric, or ``worst`` if it failed, diverged or has none that is finite."""
    value = record.metrics.get(metric) if record.status in records.GOOD else None
    return worst if value is None or not math.isfinite(value) else value


def distribution(override: Override) -> "BaseDistribution":
    """Optuna's distribution for what Hydra's grammar names: choices, ``range(...)``, ``interval(...)``.

    A range leaves its end out, as in Hydra; ``int(interval(...))`` gives whole numbers; ``tag(log, ...)`` makes an
    interval uniform in the logarithm.

    Raises:
        CommandError: for a logarithm of an interval that is not above 0.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        low, high, log = value.start, value.end, "log" in value.tags
        assert low is not None
        assert high is not None
        if low > high or (log and low <= 0):
            raise CommandError(
                f"{override.input_line}: an interval goes up" + (", from above 0 with log" if log else "")
            )
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log)
        return FloatDistribution(low, high, log=log)
    if isinstance(value, RangeSweep) and not value.shuffle:
        numbers = list(value.range())
        if numbers and all(isinstance(number, int) for number in numbers):
            return IntDistribution(min(numbers), max(numbers), step=abs(int(value.step)))
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def corners(space: Mapping[str, "BaseDistribution"]) -> list[list[str]]:
    """Jobs that together have each choice and both ends of each interval, the rest of each at its first value."""
    values = {key: _ends(distribution) for key, distribution in space.items()}
    first = {key: each[0] for key, each in values.items()}
    jobs = [first, *({**first, key: value} for key, each in values.items() for value in each[1:])]
    return [[f"{key}={value}" for key, value in job.items()] for job in jobs]


def _ends(distribution: Any) -> list[Any]:
    return list(distribution.choices if hasattr(distribution, "choices") else (distribution.low, distribution.high))
