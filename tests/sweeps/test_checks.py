"""What can be seen to be wrong with a job is said before the first begins, and nothing is left behind."""

import pytest
from omegaconf import OmegaConf
from tests.runs import PLAIN, check_refused
from tests.sweeps.folders import statuses, sweep_of

from lit_dl.errors import CommandError
from lit_dl.sweeps.grid import check_jobs

REFUSED = [
    (
        "optimizer.lr=0.1,-1",
        ["optimizer.lr=-1: it must be a number above 0", "the job optimizer.lr=-1; none has begun"],
    ),
    ("seed=1,4294967296", ["seed=4294967296", "to 4294967295"]),
    ("model=mlp,lenet", ["LeNet's layers", "8x8", "the job model=lenet; none has begun"]),
    ("trainer.max_time=null,1", ["trainer.max_time=1", "days:hours:minutes:seconds"]),
    ("trainer.precision=32-true,7", ["trainer:", "precision is 7", "none has begun"]),
    ("seed=1,2 sweep.metric=val/mae", ["sweep.metric=val/mae: no job has it", "val/loss, val/acc"]),
    ("seed=1,2 model=mlp model.hidden=[8],[1000000000]", ["model:", "GiB", "this machine has"]),
]


@pytest.mark.parametrize(("overrides", "words"), REFUSED, ids=[overrides for overrides, _ in REFUSED])
def test_a_sweep_in_which_one_job_cannot_be_leaves_nothing(command, overrides, words):
    check_refused(command("-m", *PLAIN, *overrides.split()), words)


def test_a_metric_that_some_jobs_have_can_rank_them(command):
    jobs = ("data=digits,regression", "loss=mse", "trainer.max_steps=1", "trainer.accelerator=cpu", "diagnostics=off")
    assert command("-m", *jobs, "sweep.metric=val/mae").code == 0
    assert statuses(sweep_of()) == ["completed"] * 2


class Counting:
    """A task that counts how often a job is tried out, and fails at the fourth."""

    arguments = ("seed=1,2",)

    def __init__(self):
        self.tried = []

    def try_out(self, composed, overrides):
        self.tried.append(list(overrides))
        if len(self.tried) == 4:
            raise CommandError("no fourth")
        return ["val/acc"]


class Context:
    """Composes nothing."""

    def __init__(self):
        self.config_loader = self

    def load_sweep_config(self, config, overrides):
        return OmegaConf.create({"hydra": {"sweeper": {"params": {}}}})


def test_jobs_that_differ_in_their_seeds_alone_are_tried_out_once():
    config = OmegaConf.create({"sweep": {"metric": "val/acc"}})
    task = Counting()
    check_jobs(config, Context(), [["l1=0", "seed=1"], ["l1=0", "seed=2"], ["l1=1", "seed=1"]], task)
    assert task.tried == [["l1=0", "seed=1"], ["l1=1", "seed=1"]]
    with pytest.raises(CommandError, match="the job l1=2 seed=9999999999999; none has begun"):
        check_jobs(config, Context(), [["l1=1", "seed=2"], ["l1=2", "seed=9999999999999"]], task)
