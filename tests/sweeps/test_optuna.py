"""The sweep that searches."""

import math
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tests.runs import QUICK, check_refused

from lit_dl import records
from lit_dl.errors import CommandError
from lit_dl.sweeps.optuna import distribution, value_of

optuna = pytest.importorskip("optuna", reason="optuna is an extra")
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

SEARCH = (
    "-m", "hydra/sweeper=optuna", *QUICK, "trainer.max_steps=3", "optimizer=sgd", "activation=identity",
    "diagnostics=off",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=interval(0.1,1)", FloatDistribution(0.1, 1.0)),
        ("lr=tag(log,interval(1e-4,1))", FloatDistribution(1e-4, 1.0, log=True)),
        ("lr=int(interval(1,9))", IntDistribution(1, 9)),
        ("lr=range(0,10,2)", IntDistribution(0, 8, step=2)),  # Hydra's range leaves the end out
        ("lr=range(1,4)", IntDistribution(1, 3)),
        ("lr=1,b,[2,3]", CategoricalDistribution(["1", "b", "[2,3]"])),
    ],
)
def test_hydra_s_grammar_becomes_optuna_s_distributions(text, expected):
    assert distribution(OverridesParser.create().parse_override(text)) == expected


@pytest.mark.parametrize("text", ["lr=interval(1,0)", "lr=tag(log,interval(0,1))"])
def test_an_interval_that_cannot_be_is_said(text):
    with pytest.raises(CommandError, match="an interval goes up"):
        distribution(OverridesParser.create().parse_override(text))


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted"])
def test_what_did_not_end_well_counts_as_the_worst(status):
    record = records.RunRecord(status, "", {"val/acc": 0.9, "val/loss": 0.1})
    assert value_of(record, "val/acc", -math.inf) == -math.inf
    assert value_of(record, "val/loss", math.inf) == math.inf
    assert value_of(records.RunRecord("completed", "", {"val/acc": 0.9}), "val/acc", -math.inf) == 0.9
    assert value_of(records.RunRecord("completed", "", {"val/loss": None}), "val/loss", math.inf) == math.inf


def trials(storage: str) -> list:
    return optuna.load_study(study_name="lit_dl", storage=storage).trials


@pytest.mark.slow
def test_a_study_goes_on_past_failed_and_diverged_jobs_is_stored_and_can_be_continued(command):
    random = ("hydra.sweeper.sampler=random", "hydra.sweeper.seed=2")  # whose first six draws have all three
    sizes = "data.train_size=1350,1351"  # of which the second is known to be too many once the data is loaded
    result = command(*SEARCH, "optimizer.lr=0.1,1e30", sizes, "hydra.sweeper.n_trials=6", *random)
    (file,) = Path("outputs").rglob("sweep.json")
    jobs = records.read_sweep(file.parent).jobs
    found = {name: records.read_run(file.parent / name) for name in jobs}
    assert {record.status for record in found.values()} == {"completed", "diverged", "failed"}
    assert result.code == 1
    stored = trials(f"sqlite:///{file.parent.absolute() / 'study.db'}")
    assert [trial.value for trial in stored] == [
        record.metrics["val/acc"] if record.status == "completed" else -math.inf for record in found.values()
    ]
    assert command(f"sweep.resume={file.parent}", "hydra.sweeper.n_trials=7").code == 1
    assert len(records.read_sweep(file.parent).jobs) == 7
    later = trials(f"sqlite:///{file.parent.absolute() / 'study.db'}")
    assert [trial.value for trial in later][:6] == [trial.value for trial in stored]


@pytest.mark.slow
def test_a_loss_is_minimised_and_a_named_study_is_continued_by_another_sweep(command):
    storage = f"sqlite:///{Path('all.db').absolute()}"
    settings = (*SEARCH, "optimizer.lr=tag(log,interval(1e-3,1))", "sweep.metric=val/loss")
    for _ in range(2):
        where = (f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=lit_dl", "hydra.sweeper.n_trials=2")
        assert command(*settings, *where).code == 0
    study = optuna.load_study(study_name="lit_dl", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert len(study.trials) == 4
    assert len(list(Path("outputs").rglob("sweep.json"))) == 2


REFUSED = [
    ("optimizer.lr=0.1", ["nothing to search"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.n_trials=0", ["hydra.sweeper.n_trials=0", "from 1 up"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.sampler=grid", ["sampler=grid", "tpe or random"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.direction=up", ["direction=up", "minimize, maximize"]),
    ("optimizer.lrr=0.1,0.2", ["optimizer.lrr", "Did you mean optimizer.lr"]),
    ("optimizer.lr=interval(-1,1)", ["optimizer.lr=-1", "above 0", "none has begun"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.seed=abc", ["hydra.sweeper.seed=abc", "whole number"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.study_name=null", ["hydra.sweeper.study_name=None", "text"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.params=3", ["hydra.sweeper.params=3", "mapping"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.storage=[1]", ["hydra.sweeper.storage=[1]", "sqlite:///study.db"]),
    ("optimizer.lr=0.1,0.2 hydra.sweeper.storage=abc", ["hydra.sweeper.storage=abc", "sqlite:///study.db"]),
    (
        "optimizer.lr=0.1,0.2 hydra.sweeper.storage=sqlite:///no/where.db",
        ["hydra.sweeper.storage=sqlite:///no/where.db", "cannot be opened", "a folder that exists"],
    ),
]


@pytest.mark.parametrize(("overrides", "words"), REFUSED, ids=[overrides for overrides, _ in REFUSED])
def test_a_wrong_search_says_why_and_leaves_nothing(command, overrides, words):
    check_refused(command("-m", "hydra/sweeper=optuna", "data=digits", *overrides.split()), words)
