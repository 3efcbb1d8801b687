"""The key ``threads``: the numbers are those that ``OMP_NUM_THREADS`` would give, in any shell."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
from tests.runs import PROGRAM, config

from lit_dl import records
from lit_dl.cli.values import check_values

# Batch normalisation over whole columns: sums that threads share, and that round otherwise with another number of them.
SHARED = ("data=digits", "data.batch_size=full", "model.norm=batch", "trainer.max_steps=4", "diagnostics=off",
        "trainer.accelerator=cpu", "logger=off")  # fmt: skip


def numbers(folder):
    """The metrics of a run and its parameters, to the bit."""
    checkpoint = torch.load(records.last_checkpoint(folder), weights_only=True)
    return records.read_run(folder).metrics, {k: v.numpy().tobytes() for k, v in checkpoint["state_dict"].items()}


@pytest.fixture
def four_threads():
    """A process that computes in four threads where nothing else is asked for."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_threads_1_gives_the_numbers_of_the_variable_to_the_bit_and_is_recorded(command, four_threads, monkeypatch):
    typed = [*PROGRAM, *SHARED, "hydra.run.dir=variable"]
    subprocess.run(typed, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert command(*SHARED, "threads=1", "hydra.run.dir=key").code == 0
    assert command(*SHARED, "hydra.run.dir=four").code == 0
    assert torch.get_num_threads() == 4
    key, variable, four = (Path(name) for name in ("key", "variable", "four"))
    assert numbers(key) == numbers(variable)
    assert numbers(four) != numbers(key), "four threads round as one does: this test could not fail"
    recorded = [records.read_run(folder).environment["omp_num_threads"] for folder in (key, variable, four)]
    assert recorded == ["1", "1", None]


@pytest.mark.parametrize("value", ["0", "1.5", "many", "true", "100000"])
def test_a_wrong_number_of_threads_says_what_it_can_be(value):
    with pytest.raises(ValueError, match=r"threads=.*: it must be a whole number from 1 to 1024"):
        check_values(config("data=digits", f"threads={value}"))
