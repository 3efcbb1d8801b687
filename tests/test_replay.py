"""The command that repeats the step at which a run diverged."""

import re

import pytest
from tests.folders import make_run

from lit_dl.replay import main

DIVERGES = ("data=digits", "trainer.accelerator=cpu", "trainer.max_epochs=1", "optimizer=sgd", "logger=off")


@pytest.fixture
def replayed(command, capfd):
    """Train a run that diverges, and replay it: its folder, what was said, and the exit code."""

    def run(*overrides: str):
        folder = command(*DIVERGES, *overrides).folder
        code = main([str(folder)])
        return folder, capfd.readouterr().out, code

    return run


def test_a_diverged_run_is_repeated_to_the_bit_and_the_layer_named(replayed, capfd):
    folder, out, code = replayed("optimizer.lr=1e10", "dropout=0.3", "model.hidden=[30,30]", "model.norm=batch")
    assert code == 0
    assert "the same to the bit" in out
    assert re.search(r"the first value that is not finite arises in the output of 0\d_\w+ \(forward\): [\d,]+ of", out)
    (marked,) = [line for line in out.splitlines() if "<- first" in line]
    assert marked.split()[0] in out.splitlines()[-1]
    assert "64 samples: rows " in out

    crash = folder / "crash.pt"
    crash.write_bytes(crash.read_bytes()[:-3000])
    assert main([str(folder)]) == 2
    err = capfd.readouterr().err
    assert len(err.strip().splitlines()) == 1
    assert "crash.pt is damaged" in err


@pytest.mark.slow
def test_weights_that_the_step_before_spoilt_are_named(replayed):
    _, out, code = replayed("optimizer.lr=1e38", "init=large", "diagnostics=off")
    assert code == 0
    assert re.search(r"parameters were not finite before this step: \d\d_linear\.\w+ \([\d,]+ of [\d,]+ entries\)", out)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("completed", "has no crash.pt: this run did not diverge, so there is no step to repeat"),
        ("diverged", "this run diverged, but its step was not kept; older versions of lit_dl kept none"),
    ],
)
def test_a_run_that_kept_no_step_is_said_to_have_none(tmp_path, capfd, status, words):
    assert main([str(make_run(tmp_path / "run", status=status))]) == 2
    err = capfd.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_what_is_no_run_is_said_to_be_none(tmp_path, capfd):
    assert main([str(tmp_path)]) == 2
    assert "is no run folder" in capfd.readouterr().err
