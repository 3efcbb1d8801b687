"""Jobs that differ in nothing but seed or fold make one setting: its mean, its spread, its place among the others."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lit_dl.metrics import LOSS, METRICS, is_better_larger, usual_metric
from lit_dl.overrides import is_override, read_all
from lit_dl.report.runs import Found, ReportedRun, Value, factors
from lit_dl.report.words import text_of
from lit_dl.shell import join

REPLICATES = ("seed", "data.fold", "data.split_seed")  # what repeats a setting instead of changing it
TOO_LARGE = 1e300  # for sums; not finite, or nearly so
COLUMN_PARTS = ("val", "train_eval", "test", "train")
ORDER = tuple(f"{part}/{name}" for name in (*(metric.name for metric in METRICS), LOSS) for part in COLUMN_PARTS)


@dataclass(frozen=True)
class Mean:
    """Of ``count`` values, with their sample standard deviation (Bessel's n - 1); None of fewer than two."""

    mean: float
    std: float | None
    count: int


@dataclass
class Setting:
    """The jobs of one combination of values."""

    values: dict[str, Value]
    jobs: list[ReportedRun]
    repeats: list[str]  # of each job its seed, fold and so on: jobs that share them gave one result several times

    @property
    def distinct(self) -> int:
        """Jobs that are not repeats of others."""
        return len(set(self.repeats))

    @property
    def good(self) -> list[ReportedRun]:
        """Those that ended as they should, one of each that are the same."""
        pairs = zip(self.repeats, self.jobs, strict=True)
        return list({repeat: job for repeat, job in pairs if job.is_good}.values())

    @property
    def is_good(self) -> bool:
        """Whether all ended as they should."""
        return all(job.is_good for job in self.jobs)

    def mean(self, value: Callable[[ReportedRun], float | None]) -> Mean | None:
        """Over the good jobs; None if none of them has a value."""
        return mean_of(map(value, self.good))

    def metric(self, name: str) -> Mean | None:
        """Of the good jobs; None if none has it."""
        return self.mean(lambda job: job.metric(name))

    def seconds_to(self, accuracy: float) -> Mean | None:
        """Of the good jobs that got there."""
        return self.mean(lambda job: job.seconds_to(accuracy))

    def statuses(self) -> Counter[str]:
        """How many jobs ended how."""
        return Counter(job.status for job in self.jobs)

    def findings(self) -> Counter[str]:
        """How many jobs have which finding, the commonest first."""
        kinds: Counter[str] = Counter()
        for job in self.jobs:
            if job.record is not None:
                kinds.update(dict.fromkeys((finding.kind for finding in job.record.diagnosis), 1))
        return kinds


@dataclass
class Comparison:
    """All that a report shows."""

    jobs: list[ReportedRun]
    metric: str  # by which settings are ranked
    accuracy: float  # whose time is told
    factors: dict[str, list[Value]]  # what varied, with each job's value
    settings: list[Setting]  # best first
    skipped: list[str] = field(default_factory=list)

    @property
    def repeated(self) -> list[str]:
        """By which replicates jobs were repeated."""
        return [key for key in self.factors if key in REPLICATES]

    @property
    def compared(self) -> list[str]:
        """What makes settings differ."""
        return [key for key in self.factors if key not in REPLICATES]

    @property
    def metrics(self) -> list[str]:
        """Those that any job has, the one that ranks first."""
        names = {name for job in self.jobs if job.record is not None for name in job.record.metrics}
        order = [self.metric, *(name for name in ORDER if name != self.metric), *sorted(names - set(ORDER))]
        return [name for name in order if name in names]

    @property
    def best(self) -> ReportedRun | None:
        """The best job of the best setting."""
        good = [job for job in self.settings[0].good if job.metric(self.metric) is not None] if self.settings else []
        return max(good, key=lambda job: _score(job.metric(self.metric), self.metric), default=None)


def compare(found: Found, metric: str, accuracy: float) -> Comparison:
    """Group and rank what was found.

    Settings whose jobs all ended well come first, by the mean of the metric; then those of which some did, whose mean
    is that of the survivors; then the others. Where no job has the metric, another one takes its place.
    """
    varied = factors(found.jobs)
    compared = [key for key in varied if key not in REPLICATES]
    groups: dict[str, Setting] = {}
    for number, job in enumerate(found.jobs):
        values = {key: varied[key][number] for key in compared}
        label = repr(values) if varied else repr(number)  # where nothing varied, each run stands for itself
        setting = groups.setdefault(label, Setting(values, [], []))
        setting.jobs.append(job)
        setting.repeats.append(repr([varied[key][number] for key in varied if key in REPLICATES]))
    metric = usual_metric(metric, {name for job in found.jobs if job.record is not None for name in job.record.metrics})
    settings = sorted(groups.values(), key=lambda setting: _rank(setting, metric))
    return Comparison(found.jobs, metric, accuracy, varied, settings, found.skipped)


def _rank(setting: Setting, metric: str) -> tuple[int, float]:
    mean = setting.metric(metric)
    if mean is None:
        return 2, 0.0
    return int(not setting.is_good), -_score(mean.mean, metric)


def _score(value: float | None, metric: str) -> float:
    """Larger is better."""
    assert value is not None
    return value if is_better_larger(metric) else -value


def mean_of(values: Iterable[float | None]) -> Mean | None:
    """Mean and spread of those that are finite numbers; None if there are none."""
    known = [value for value in values if value is not None and abs(value) < TOO_LARGE]
    if not known:
        return None
    return Mean(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None, len(known))


def command_of(job: ReportedRun) -> str:
    """The command that repeats a job by itself, with as many threads if their number was set."""
    # An experiment may be a sweep, of which this is one job.
    overrides = filter(is_override, job.overrides)  # of a stranger's folder there may be others, such as flags
    asked = [override for override in read_all(overrides) if not override.key.startswith("sweep.")]
    mode = ["hydra.mode=RUN"] if any(override.key == "experiment" for override in asked) else []
    texts = [override.text for override in sorted(asked, key=lambda override: override.key != "experiment")]
    return join(["python", "-m", "lit_dl.train", *job.flags, *mode, *texts, *_threads_of(job)])


def _threads_of(job: ReportedRun) -> list[str]:
    """The override for as many threads as a variable asked for: how sums round depends on their number."""
    threads = str(job.record.environment.get("omp_num_threads")) if job.record is not None else ""
    typed = any(override.key == "threads" for override in read_all(job.overrides))
    return [f"threads={threads}"] if threads.isdecimal() and not typed else []


def rows_of(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of settings: what varied, metrics, health."""
    several = any(len(setting.jobs) > 1 for setting in comparison.settings)
    names = comparison.compared or (["setting"] if several else ["run"])
    has_accuracy = "val/acc" in comparison.metrics
    score = "acc" if has_accuracy else comparison.metric.partition("/")[2]
    scores = [name for name in comparison.metrics if name.endswith(f"/{score}")]
    has_gap = has_accuracy and f"train_eval/{score}" in scores
    if has_gap:
        # train/acc is of parameters that moved, with dropout; train_eval/acc compares with the others.
        scores = [name for name in scores if name != "train/acc"]
    records = [job.record for job in comparison.jobs if job.record is not None and job.is_good]
    usual = {usual_metric(comparison.metric, record.metrics) for record in records}  # others have no accuracy, say
    shown = [name for name in comparison.metrics if name == comparison.metric or name in scores or name in usual]
    head = [
        *names,
        *shown,
        *(["gap"] if has_gap else []),
        *(["jobs"] if several else []),
        "diagnosis",
        "epochs",
        "time",
    ]
    head += [*([f"to {comparison.accuracy:g}"] if has_accuracy else []), "status"]
    rows = []
    for setting in comparison.settings:
        name = "all" if several else setting.jobs[0].name
        row = [text_of(setting.values[key]) for key in comparison.compared] or [name]
        row += [mean_text(setting.metric(metric)) for metric in shown]
        row += [mean_text(setting.mean(gap))] if has_gap else []
        row += [_count(setting)] if several else []
        row += [_counted(setting.findings(), len(setting.jobs)), *_effort(setting)]
        row += [_reached(setting, comparison.accuracy)] if has_accuracy else []
        row += [_counted(setting.statuses(), len(setting.jobs))]
        rows.append(row)
    return head, rows


def mean_text(mean: Mean | None, unit: str = "") -> str:
    """Four decimals, with the standard deviation where there is one."""
    if mean is None:
        return "-"
    if unit:
        return f"{mean.mean:.1f}{unit}"
    digits = ".4f" if mean.mean == 0 or 1e-3 <= abs(mean.mean) < 1000 else ".3g"
    return f"{mean.mean:{digits}}" + (f" ± {mean.std:{digits}}" if mean.std is not None else "")


def gap(job: ReportedRun) -> float | None:
    """How much better a net does on what it was trained on: accuracy on the training less on the validation part."""
    train, val = job.metric("train_eval/acc"), job.metric("val/acc")
    return None if train is None or val is None else train - val


def _count(setting: Setting) -> str:
    """How many results the means are of, and how many runs gave them."""
    good, all_jobs = len(setting.good), setting.distinct
    again = f" ({len(setting.jobs)} runs)" if len(setting.jobs) > all_jobs else ""
    return (f"{good}" if good == all_jobs else f"{good} of {all_jobs}") + again


def _effort(setting: Setting) -> list[str]:
    epochs = setting.mean(lambda job: None if job.record is None else job.record.epochs)
    seconds = setting.mean(lambda job: None if job.record is None else job.record.seconds)
    return ["-" if epochs is None else f"{epochs.mean:.4g}", mean_text(seconds, " s")]


def _reached(setting: Setting, accuracy: float) -> str:
    reached = setting.seconds_to(accuracy)
    good = len(setting.good)
    some = f" ({reached.count} of {good})" if reached and reached.count < good else ""
    return mean_text(reached, " s") + some


def _counted(counts: Counter[str], total: int) -> str:
    words = ((kind.replace("_", " "), count) for kind, count in counts.most_common())
    return ", ".join(kind if count == total else f"{kind} ({count} of {total})" for kind, count in words) or "-"
