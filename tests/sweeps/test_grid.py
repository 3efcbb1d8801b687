"""Every combination, and the names of their folders."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from lit_dl.sweeps.grid import grid, job_name


@pytest.mark.parametrize(
    ("number", "total", "overrides", "name"),
    [
        (3, 12, ["data=digits", "optimizer=sgd"], "03_optimizer=sgd"),
        (0, 1, ["optimizer=sgd"], "0_optimizer=sgd"),
        (0, 2, ["+model.x='a/b: c'"], "0_model.x=a-b_c"),
        (1, 2, ["optimizer.lr=0.0012345678901"], "1_optimizer.lr=0.001235"),
        (1, 2, [f"model.x={'y' * 300}"], "1_model.x=" + "y" * 70),
    ],
)
def test_names_of_folders(number, total, overrides, name):
    varied = ["optimizer", "optimizer.lr", "+model.x", "model.x"]
    assert job_name(number, total, overrides, varied) == name


def test_every_combination_is_a_job_and_the_last_key_varies_fastest():
    jobs = grid(OverridesParser.create().parse_overrides(["data=digits", "model.hidden=[8],[8,4]", "seed=range(1,3)"]))
    names = [job_name(number, len(jobs), job, ["model.hidden", "seed"]) for number, job in enumerate(jobs)]
    assert names == [
        "0_model.hidden=8_seed=1", "1_model.hidden=8_seed=2", "2_model.hidden=8-4_seed=1", "3_model.hidden=8-4_seed=2"
    ]  # fmt: skip
