"""The sweep that tries every combination, and what it shares with the one that searches."""

import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from lit_dl.errors import CommandError
from lit_dl.metrics import FIRST_CHOICES
from lit_dl.overrides import Override as Asked
from lit_dl.overrides import last_value, read_all, without
from lit_dl.records import file_name
from lit_dl.sweeps.runner import SweepRunner

PLUGINS = "hydra_plugins._lit_dl"  # where Hydra is to find the sweepers


class JobSweeper(Sweeper):
    """What sweepers share: the values that an experiment varies by itself, and what Hydra hands over.

    Args:
        params: key to values as on the command line.
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        if params is not None and not isinstance(params, Mapping):
            raise CommandError(f"hydra.sweeper.params={params}: it must be a mapping of keys to the values of each")
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives.

        Raises:
            CommandError: if the launcher is not there.
        """
        self.context, self.job, self.config = hydra_context, task_function, config
        self.launcher = launcher_of(hydra_context, task_function, config)


class GridSweeper(JobSweeper):
    """Every combination of the values given."""

    __module__ = PLUGINS

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs and report.

        Raises:
            CommandError: if there is no such sweep.
            KeyboardInterrupt: if the user stopped it; the report has been written then.
        """
        assert self.config is not None
        assert self.launcher is not None
        jobs = grid(parse(self.context, self.params, arguments).values())
        varied = [key for key, values in _values(jobs).items() if len(set(values)) > 1]
        if self.config.sweep.resume is None:
            check_jobs(self.config, self.context, jobs, self.job)
        run = SweepRunner(self.config, self.launcher, self.job, len(jobs))
        if run.plan.jobs:
            run.total = len(run.plan.jobs)
        else:
            run.add({job_name(number, len(jobs), job, varied): job for number, job in enumerate(jobs)})
        with run.open():
            run.launch(run.begin(varied))


def parse(context: HydraContext, params: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Override]:
    """What an experiment varies and what was typed, by key; the latter wins, but for the name of that experiment."""
    if "experiment" in params:
        arguments = without("experiment", arguments)
    given = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    parsed = OverridesParser.create(config_loader=context.config_loader).parse_overrides(given)
    return {override.get_key_element(): override for override in parsed}


def grid(overrides: Iterable[Override]) -> list[list[str]]:
    """The overrides of each job: all combinations, the last key varying fastest.

    Raises:
        CommandError: for an interval, which has no end of values.
    """
    choices = []
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices.append([f"{key}={override.get_value_element_as_str()}"])
        elif override.is_discrete_sweep():
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            raise CommandError(
                f"{override.input_line}: an interval has no end of values; name some, or take hydra/sweeper=optuna"
            )
    return [list(job) for job in itertools.product(*choices)]


def launcher_of(context: HydraContext, task: TaskFunction, config: DictConfig) -> Launcher:
    """The launcher that the config names.

    Raises:
        CommandError: if it is not there.
    """
    try:
        return Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
    except (ImportError, RuntimeError) as error:
        name = config.hydra.runtime.choices["hydra/launcher"]
        raise CommandError(f"hydra/launcher={name}: {str(error).strip()}") from error


def job_name(number: int, total: int, overrides: Sequence[str], varied: Sequence[str]) -> str:
    """The folder of a job: its number, and what sets it apart from the others."""
    keys = {asked.key for asked in read_all(varied)}
    pairs = "_".join(f"{asked.key}={_short(asked.value)}" for asked in read_all(overrides) if asked.key in keys)
    return file_name(f"{number:0{len(str(max(total - 1, 0)))}d}_{pairs}")


def _short(value: str) -> str:
    if len(value) > 8 and re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", value):  # of an interval
        return f"{float(value):.4g}"
    return value.strip("[]'\"").replace(", ", "-").replace(",", "-")


def check_jobs(config: DictConfig, context: HydraContext, jobs: Sequence[Sequence[str]], task: Any) -> None:
    """Compose each job's config and try out what it names, before any has begun.

    Jobs that differ in their seeds alone are tried out once.

    Args:
        config: Hydra's, of the sweep as a whole.
        context: Hydra's.
        jobs: the overrides of each.
        task: lit_dl.cli.hydra_job.HydraJob.

    Raises:
        CommandError: if one of them cannot be, is an experiment that is a sweep of its own and would be run as a single
            job, or if none has the metric that the sweep is to be ranked by.
        HydraException: if one has a wrong key or choice.
    """
    metrics: dict[str, None] = {}
    varied = {key for key, values in _values(jobs).items() if len(set(values)) > 1}
    tried: set[str] = set()
    for job in jobs:
        composed = context.config_loader.load_sweep_config(config, list(job))
        params = composed.hydra.sweeper.params
        given = {asked.key for asked in read_all(job)}
        if params is not None and not {asked.key for asked in read_all(params)} <= given:
            name = next((o for o in job if o.startswith("experiment=")), "a job")
            raise CommandError(f"{name} is a sweep of its own, over {', '.join(params)}: run it by itself")
        but_seed = " ".join(asked.text for asked in read_all(job) if not _is_seed(asked))
        if but_seed not in tried:
            tried.add(but_seed)
            metrics.update(dict.fromkeys(_try_out(task, composed, job, varied)))
    _check_metric(config, task.arguments, list(metrics))


def _is_seed(asked: Asked) -> bool:
    """Whether an override sets a seed that can be, by which a job can be no other than one with another seed."""
    return asked.key == "seed" and asked.value.isdecimal() and len(asked.value) < 10  # of the ten digits of 2**32


def _try_out(task: Any, composed: DictConfig, job: Sequence[str], varied: Collection[str]) -> Sequence[str]:
    try:
        return task.try_out(composed, job)
    except CommandError as error:
        own = " ".join(asked.text for asked in read_all(job) if asked.key in varied)
        raise CommandError(f"{error}" + (f"\nSo it is with the job {own}; none has begun" if own else "")) from error


def _check_metric(config: DictConfig, arguments: Sequence[str], known: Sequence[str]) -> None:
    """A metric that was asked for must be one that a job has; where none was, each kind of job has its usual one."""
    metric = config.sweep.metric
    asked = metric != FIRST_CHOICES[0] or last_value("sweep.metric", arguments) is not None
    if known and asked and metric not in known:
        raise CommandError(f"sweep.metric={metric}: no job has it. It can be {', '.join(known)}")


def _values(jobs: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """The values that each key takes over the jobs."""
    values: dict[str, list[str]] = {}
    for asked in (asked for job in jobs for asked in read_all(job)):
        values.setdefault(asked.key, []).append(asked.value)
    return values
