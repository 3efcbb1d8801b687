"""A run that is killed at any moment goes on, and ends as if it had not been: to the bit, times apart."""

import random
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from tests.kills import run
from tests.sameness import check_same, left_by

from lit_dl import records

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills no process without warning"),
]

SMALL = ["trainer.accelerator=cpu", "data.train_size=100", "trainer.log_every_n_steps=3"]
RUNS = {
    "dropout": [
        "data=digits", *SMALL, "dropout=0.3", "scheduler=step", "scheduler.step_size=1", "trainer.max_epochs=4",
    ],
    "early_stopping": [
        "data=digits", *SMALL, "early_stopping=on", "early_stopping.patience=2", "optimizer.lr=0.03",
        "trainer.max_epochs=12",
    ],
    "cnn": ["data=digits", *SMALL, "model=cnn", "dropout=0.2", "scheduler=cosine", "trainer.max_epochs=3"],
    "plane": [
        "data=spiral", "trainer.accelerator=cpu", "data.batch_size=32", "diagnostics=full", "animate=true",
        "scheduler=plateau", "trainer.max_epochs=4",
    ],
    "surface": ["experiment=rosenbrock", "trainer.accelerator=cpu", "trainer.max_epochs=4", "animate=true"],
}  # fmt: skip
KILLS = 8  # of each of the five


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Each of the runs without a fault: what it left, and how many moments it had."""
    done = {}

    def of(name: str):
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            code, moments = run(folder, [*RUNS[name], "hydra.run.dir=run"])
            assert code == 0, (folder / "out.txt").read_text()
            done[name] = left_by(folder / "run"), moments
        return done[name]

    return of


def go_on(folder: Path, name: str) -> None:
    """Resume the run, or start it anew where it had no checkpoint, as the message says."""
    with suppress(FileNotFoundError):
        if records.read_run(folder / "run").status in records.GOOD:  # it was over when it was killed
            return
    code, _ = run(folder, ["resume=run"])
    if code == 2:
        said = (folder / "out.txt").read_text()
        assert "first epoch was not finished" in said or "no run folder" in said, said
        assert not (folder / "run/checkpoints/last.ckpt").exists()
        shutil.rmtree(folder / "run")
        code, _ = run(folder, [*RUNS[name], "hydra.run.dir=run"])
    assert code == 0, (folder / "out.txt").read_text()


@pytest.mark.parametrize("kill", range(KILLS))
@pytest.mark.parametrize("name", RUNS)
def test_kill_9_at_any_moment_loses_nothing(tmp_path, whole, name, kill):
    expected, moments = whole(name)
    chance = random.Random(f"{name} {kill}")
    spot = chance.randint(1, moments) if kill else moments - chance.randint(0, 20)  # one of each after the last epoch
    code, _ = run(tmp_path, [*RUNS[name], "hydra.run.dir=run"], fatal=spot)
    assert code == -signal.SIGKILL
    if kill % 2 and records.last_checkpoint(tmp_path / "run").is_file():
        run(tmp_path, ["resume=run"], fatal=chance.randint(1, moments // 2))  # twice in a row
    go_on(tmp_path, name)
    check_same(expected, left_by(tmp_path / "run"))


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["early_stopping", "plane"])
def test_a_signal_at_any_moment_is_recorded_and_loses_nothing(tmp_path, whole, name, number, twice):
    expected, moments = whole(name)
    chance = random.Random(f"{name} {number} {twice}")
    spot = chance.randint(moments // 4, moments - 1)  # once there is a checkpoint, to its very end
    code, _ = run(
        tmp_path, [*RUNS[name], "hydra.run.dir=run"], spot, number, again=chance.randint(1, 5) if twice else 0
    )
    said = (tmp_path / "out.txt").read_text()
    assert code == 130, said
    assert "Traceback" not in said
    assert records.read_run(tmp_path / "run").status == "interrupted"
    go_on(tmp_path, name)
    check_same(expected, left_by(tmp_path / "run"))
