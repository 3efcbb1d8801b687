"""Sweeps: names, statuses, exit codes, going on, and what is told of them."""

import re
import statistics
import subprocess
from pathlib import Path

import pytest
from tests.runs import PLAIN, PROGRAM, QUICK, check_refused, config
from tests.sweeps.folders import statuses, sweep_of

from lit_dl import records
from lit_dl.errors import CommandError
from lit_dl.sweeps.runner import SweepRunner, check_sweep

# A job that trains, one that diverges (a linear net with an absurd rate), and two that cannot begin, which is known
# once the data is loaded.
MIXED = ("-m", *QUICK, "optimizer=sgd", "activation=identity", "optimizer.lr=0.1,1e30", "data.train_size=1350,1351")


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow)])
def test_one_good_one_diverging_and_one_failing_job_make_a_whole_sweep(command, launcher):
    workers = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    result = command(*MIXED, f"hydra/launcher={launcher}", *workers)
    check_mixed(result.code, result.out, result.err)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ray", "submitit_local"])
@pytest.mark.run
def test_the_same_on_clusters(tmp_path, launcher):
    pytest.importorskip({"ray": "ray", "submitit_local": "submitit"}[launcher], reason=f"{launcher} is an extra")
    done = subprocess.run(
        [*PROGRAM, *MIXED, f"hydra/launcher={launcher}"], cwd=tmp_path, capture_output=True, text=True, timeout=180
    )
    check_mixed(done.returncode, done.stdout, done.stderr, tmp_path)


def check_mixed(code: int, out: str, err: str, root: Path = Path()) -> None:
    sweep = sweep_of(root)
    assert statuses(sweep) == ["completed", "failed", "diverged", "failed"]
    assert code == 1
    assert "train_size is 1,351, but digits has 1,350 training samples" in err
    assert "Traceback" not in err
    assert f"sweep.resume={sweep.relative_to(root)}" in err
    lines = re.findall(r"^job \d of 4 .*", out, re.MULTILINE)
    assert len(lines) == 4
    assert sum("diverged: loss or gradient not finite" in line for line in lines) == 1
    page = (sweep / "report.html").read_text()
    assert all(status in page for status in ("completed", "diverged", "failed"))


def test_a_job_s_folder_is_named_by_what_varied_and_is_safe(command):
    assert command("-m", *PLAIN, "trainer.max_steps=2", "model.hidden=[8],[8,4]", "seed=1").code == 0
    names = [path.name for path in sorted(sweep_of().iterdir()) if path.is_dir()]
    assert names == ["0_model.hidden=8", "1_model.hidden=8-4"]
    assert all(list((sweep_of() / name).glob("events.out.tfevents.*")) for name in names)


@pytest.mark.slow
def test_each_job_gives_the_numbers_of_the_same_run_alone(command):
    settings = (*PLAIN, "trainer.max_epochs=1", "dropout=0.5")
    command("-m", *settings, "seed=1,2")
    in_sweep = records.read_run(sweep_of() / "1_seed=2").metrics
    assert in_sweep == command(*settings, "seed=2").record.metrics


@pytest.mark.slow
def test_cross_validation_is_one_command_with_mean_and_spread_over_the_folds(command):
    result = command(
        "experiment=cross_validation",
        "trainer.max_epochs=1",
        "diagnostics=off",
        "data.folds=3",
        "optimizer.lr=0.01,0.0001",
    )
    assert result.code == 0
    accuracies = {"0.01": [], "0.0001": []}
    hashes = set()
    for name, overrides in records.read_sweep(sweep_of()).jobs.items():
        record = records.read_run(sweep_of() / name)
        accuracies[next(o for o in overrides if "lr" in o).partition("=")[2]].append(record.metrics["val/acc"])
        hashes.add(record.data["sha256"])
        assert record.data["val"] == 500
    assert len(hashes) == 3  # each fold has a training part of its own, whatever the rate
    rows = re.findall(r"^(\S+) +(\d\.\d{4} ± \d\.\d{4})", result.out, re.MULTILINE)
    told = [f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}" for values in accuracies.values()]
    assert rows[:2] == [("0.01", told[0]), ("0.0001", told[1])]
    assert "over data.fold" in result.out


def test_fail_fast_stops_at_the_first_and_the_rest_can_be_done_later(command):
    result = command(*MIXED[:-2], "data.train_size=100,1351,200", "sweep.fail_fast=true", "diagnostics=off")
    assert result.code == 1
    assert statuses(sweep_of()) == ["completed", "failed", None]
    assert "sweep.fail_fast" in result.err
    first = (sweep_of() / "0_data.train_size=100/metrics.json").read_bytes()
    again = command(f"sweep.resume={sweep_of()}", "sweep.fail_fast=false")
    assert again.code == 1  # the second job still asks for more samples than there are
    assert "to do: 1_data.train_size=1351, 2_data.train_size=200" in again.out
    assert statuses(sweep_of()) == ["completed", "failed", "completed"]
    assert (sweep_of() / "0_data.train_size=100/metrics.json").read_bytes() == first


@pytest.mark.slow
@pytest.mark.run
def test_ddp_in_a_sweep_trains_each_job_once_and_goes_on(tmp_path):
    ddp = ["-m", *PLAIN, "trainer.devices=2", "trainer.strategy=ddp", "seed=1,2"]
    done = subprocess.run([*PROGRAM, *ddp], cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert statuses(sweep_of(tmp_path)) == ["completed"] * 2
    assert len(list((tmp_path / "outputs").rglob(".hydra"))) == 2
    assert [path.name for path in (tmp_path / "outputs/train").iterdir()] == ["multirun"]


@pytest.mark.slow
def test_a_launcher_s_job_on_several_devices_is_refused_with_the_way_out(command):
    result = command("-m", *PLAIN, "trainer.devices=2", "seed=1,2", "hydra/launcher=joblib")
    assert result.code == 1
    assert "hydra/launcher=basic" in result.err
    assert statuses(sweep_of()) == ["failed"] * 2


def test_a_second_process_is_kept_from_a_sweep_that_goes_on(command):
    from filelock import FileLock

    command("-m", *PLAIN, "seed=1", "trainer.fast_dev_run=true")
    with FileLock(sweep_of() / records.LOCK_FILE):
        result = command(f"sweep.resume={sweep_of()}")
    assert result.code == 2
    assert "another process is at work" in result.err


@pytest.mark.slow
def test_a_job_of_an_experiment_that_is_a_sweep_is_resumed_as_one_run(command):
    command("experiment=cross_validation", "data.folds=2", "trainer.max_epochs=1", "diagnostics=off")
    job = sweep_of() / "0_data.fold=0"
    assert command(f"resume={job}", "trainer.max_epochs=2").code == 0
    assert records.read_run(job).epochs == 2


@pytest.mark.slow
def test_the_command_of_the_best_job_gives_its_numbers_again(command):
    out = command("experiment=cross_validation", "data.folds=2", "trainer.max_epochs=1", "diagnostics=off").out
    (line,) = re.findall(r"repeat the best +python -m lit_dl.train (.* threads=1)", out)
    fold = next(part for part in line.split() if part.startswith("data.fold="))
    metrics = records.read_run(next(sweep_of().glob(f"*{fold}"))).metrics
    assert command(*line.split(), "hydra.run.dir=again").code == 0
    assert records.read_run(Path("again")).metrics == metrics


REFUSED = [
    ("-m seed=1,2 sweep.metric=test/acc", ["sweep.metric=test/acc", "not for choosing"]),
    ("-m seed=1,2 optimizer.lrr=1,2", ["optimizer.lrr", "Did you mean optimizer.lr"]),
    ("-m seed=1,2 optimizer=sgd,admm", ["optimizer=admm", "no such choice"]),
    ("-m optimizer.lr=interval(0,1)", ["optimizer.lr=interval(0,1)", "hydra/sweeper=optuna"]),
    ("-m experiment=optimizers,activations", ["experiment=optimizers is a sweep of its own", "by itself"]),
    ("-m seed=1,2 hydra/launcher=slurm", ["hydra/launcher=slurm", "no such choice"]),
    ("sweep.resume=nowhere", ["nowhere is no sweep folder", "sweep.json"]),
]


@pytest.mark.parametrize(("overrides", "words"), REFUSED, ids=[overrides for overrides, _ in REFUSED])
def test_a_wrong_sweep_says_why_and_leaves_nothing(command, overrides, words):
    check_refused(command(*([] if "resume" in overrides else ["data=digits"]), *overrides.split()), words)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("sweep.metric=val/auc", ["sweep.metric=val/auc", "val/loss, train/acc, val/acc"]),
        ("sweep.metric=test/acc", ["sweep.metric=test/acc", "not for choosing"]),
        ("sweep.accuracy=2", ["sweep.accuracy=2", "from 0 to 1"]),
        ("sweep.fail_fast=no_idea", ["sweep.fail_fast=no_idea", "true or false"]),
    ],
)
def test_what_concerns_a_sweep_as_a_whole_is_checked_before_it_begins(override, words):
    with pytest.raises(CommandError) as raised:
        check_sweep(config("data=digits", override))
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize("metric", ["train/f1", "val/top5", "val/rmse", "val/mae", "train/loss"])
def test_a_sweep_can_be_ranked_by_each_metric(metric):
    check_sweep(config("data=digits", f"sweep.metric={metric}"))


@pytest.mark.slow
def test_a_users_own_yaml_goes_along_from_any_folder(command, monkeypatch):
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/mine.yaml").write_text("_target_: lit_dl.data.Digits\nbatch_size: 128\n", encoding="utf-8")
    first = command("-m", "--config-dir", "conf", "data=mine", "trainer.max_steps=2", "diagnostics=off", "seed=1,2")
    assert first.code == 0
    sweep = sweep_of().absolute()
    (sweep / "1_seed=2/metrics.json").unlink()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    refused = command(f"sweep.resume={sweep}")
    assert refused.code == 2
    assert "if it is yours: name it again" in refused.err
    assert command(f"sweep.resume={sweep}", "--config-dir", "../conf").code == 0
    assert statuses(sweep) == ["completed"] * 2
    (line,) = re.findall(r"repeat the best +python -m lit_dl.train (.*)", first.out)
    assert command(*line.split()).code == 0


def test_a_sweep_never_begins_in_the_folder_of_another(command):
    assert command("-m", *PLAIN, "seed=1", "trainer.fast_dev_run=true", "hydra.sweep.dir=mine").code == 0
    result = command("-m", *PLAIN, "seed=2", "hydra.sweep.dir=mine")
    assert result.code == 2
    assert "sweep.resume=mine" in result.err


def test_a_job_that_began_is_known_by_its_config_when_its_lock_is_gone_as_on_windows(tmp_path):
    runner = SweepRunner.__new__(SweepRunner)
    runner.folder = tmp_path
    runner.plan = records.SweepRecord(["-m"], "val/acc", 0.9, {"0_begun": ["seed=1"], "1_waiting": ["seed=2"]})
    (tmp_path / "0_begun" / records.HYDRA_FOLDER).mkdir(parents=True)
    runner._settle(list(runner.plan.jobs), "failed", "its process ended")
    assert [runner.status(name) for name in runner.plan.jobs] == ["failed", "not started"]


@pytest.mark.slow
def test_a_sweep_runs_below_a_folder_whose_name_has_an_apostrophe_and_a_space(command, monkeypatch):
    home = Path("Flann O'Brien")
    home.mkdir()
    monkeypatch.chdir(home)
    assert command("-m", *PLAIN, "seed=1", "trainer.max_steps=1").code == 0
    assert statuses(sweep_of()) == ["completed"]
