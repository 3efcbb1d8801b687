"""A sweep that is killed at any moment goes on, and its jobs end as if it had not been."""

import random
import signal
from pathlib import Path

import pytest
from tests.kills import run
from tests.sameness import check_same, left_by

from lit_dl import records

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills no process without warning"),
]

JOB = (
    "data=digits", "trainer.accelerator=cpu", "data.train_size=100", "trainer.log_every_n_steps=3", "dropout=0.2",
    "trainer.max_epochs=3", "hydra.sweep.dir=sweep",
)  # fmt: skip
SWEEPS = {
    "grid": ["-m", *JOB, "seed=1,2"],
    "optuna": [
        "-m", *JOB, "hydra/sweeper=optuna", "optimizer.lr=tag(log,interval(1e-4,1e-1))", "hydra.sweeper.n_trials=5",
        "hydra.sweeper.n_jobs=2",
    ],
    "joblib": ["-m", *JOB, "seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Each of the sweeps without a fault: what each job left, and how many moments it had."""
    done = {}

    def of(name: str):
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            code, moments = run(folder, SWEEPS[name])
            assert code == 0, (folder / "out.txt").read_text()
            done[name] = jobs_of(folder / "sweep"), moments
        return done[name]

    return of


def jobs_of(sweep: Path) -> dict[str, dict]:
    return {name: left_by(sweep / name) for name in records.read_sweep(sweep).jobs}


@pytest.mark.parametrize("kill", range(3))
@pytest.mark.parametrize("name", SWEEPS)
def test_kill_9_of_a_sweep_loses_nothing(tmp_path, whole, name, kill):
    if name != "grid":
        pytest.importorskip("optuna" if name == "optuna" else "hydra_plugins.hydra_joblib_launcher")
    expected, moments = whole(name)
    chance = random.Random(f"{name} {kill}")
    spot = chance.randint(moments // 5, moments)
    code, _ = run(tmp_path, SWEEPS[name], fatal=spot)
    assert code == -signal.SIGKILL
    code, _ = run(tmp_path, ["sweep.resume=sweep"])
    assert code == 0, (tmp_path / "out.txt").read_text()
    found = jobs_of(tmp_path / "sweep")
    assert found.keys() == expected.keys()
    for job, content in expected.items():
        check_same(content, found[job])
    assert not list(tmp_path.rglob("*.part"))
