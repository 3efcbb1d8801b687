"""Sweeps that are stopped from outside, and go on."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.runs import PROGRAM, hear_interrupts
from tests.sweeps.folders import statuses, sweep_of

from lit_dl import records

TO_KILL = ("data=digits", "trainer.accelerator=cpu", "trainer.max_epochs=20", "model.hidden=[20]")


def killed_sweep(folder: Path, kill: signal.Signals, *overrides: str) -> subprocess.Popen:
    """A sweep of three jobs that was stopped from outside while it was at the second."""
    settings = [*TO_KILL, "seed=1,2,3", *overrides]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [*PROGRAM, "-m", *settings],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, preexec_fn=hear_interrupts,
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(folder.rglob("1_seed=2/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.workers = subprocess.run(["pgrep", "-P", f"{process.pid}"], capture_output=True, text=True).stdout.split()
    process.send_signal(kill)
    process.wait(timeout=60)  # not for its pipes: a launcher's workers may outlive it
    return process


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_was_stopped_goes_on_with_the_jobs_that_had_not_finished(command, tmp_path, kill):
    process = killed_sweep(tmp_path, kill)
    sweep = sweep_of(tmp_path)
    if kill == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in (tmp_path / "stderr").read_text()
        assert statuses(sweep) == ["completed", "interrupted", None]
        assert "interrupted" in (sweep / "report.md").read_text()
    else:
        assert statuses(sweep) == ["completed", None, None]
    finished = (sweep / "0_seed=1/metrics.json").read_bytes()
    done = command(f"sweep.resume={sweep}")
    assert done.code == 0, done.err
    assert "1 have finished; to do: 1_seed=2, 2_seed=3" in done.out
    assert statuses(sweep) == ["completed"] * 3
    assert (sweep / "0_seed=1/metrics.json").read_bytes() == finished
    alone = command(*TO_KILL, "seed=2", "hydra.run.dir=alone")
    assert alone.code == 0, alone.err
    assert records.read_run(sweep / "1_seed=2").metrics == records.read_run(tmp_path / "alone").metrics


@pytest.mark.slow
@pytest.mark.run
def test_jobs_that_outlive_their_killed_sweep_are_waited_for(tmp_path):
    process = killed_sweep(
        tmp_path, signal.SIGKILL, "hydra/launcher=joblib", "trainer.max_epochs=200", "hydra.launcher.n_jobs=2"
    )
    sweep = sweep_of(tmp_path)
    done = subprocess.run([*PROGRAM, f"sweep.resume={sweep}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "still at work" in done.stdout
    assert statuses(sweep) == ["completed"] * 3
    time.sleep(2)  # more than lit_dl.cli.process.WATCH_SECONDS
    assert len(process.workers) >= 2
    states = subprocess.run(["ps", "-o", "stat=", "-p", ",".join(process.workers)], capture_output=True, text=True)
    assert set(states.stdout.split()) <= {"Z"}  # gone, if not yet waited for
