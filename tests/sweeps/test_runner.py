"""Sweeps: names, statuses, exit codes, going on, and what is told of them."""

import json
import re
import signal
import statistics
import subprocess
import time
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tests.runs import PLAIN, PROGRAM, QUICK, check_refused, config, hear_interrupts

from lit_dl import records
from lit_dl.errors import CommandError
from lit_dl.sweeps.grid import grid, job_name
from lit_dl.sweeps.runner import check_sweep

# A job that trains, one that diverges (a linear net with an absurd rate), one that cannot begin.
MIXED = ("-m", *QUICK, "optimizer=sgd", "activation=identity", "optimizer.lr=0.1,1e30,-1")


def sweep_of(root: Path = Path()) -> Path:
    (file,) = root.glob("outputs/*/multirun/*/sweep.json")
    return file.parent


def statuses(sweep: Path) -> list[str | None]:
    """Of each planned job, in order; None has no record."""
    found = []
    for name in records.read_sweep(sweep).jobs:
        path = sweep / name / "metrics.json"
        found.append(json.loads(path.read_text())["status"] if path.exists() else None)
    return found


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
    assert statuses(sweep) == ["completed", "diverged", "failed"]
    assert code == 1
    assert "optimizer.lr=-1: it must be a number above 0" in err
    assert "Traceback" not in err
    assert f"sweep.resume={sweep.relative_to(root)}" in err
    lines = re.findall(r"^job \d of 3 .*", out, re.MULTILINE)
    assert len(lines) == 3
    assert sum("diverged: loss or gradient not finite" in line for line in lines) == 1
    page = (sweep / "report.html").read_text()
    assert all(status in page for status in ("completed", "diverged", "failed"))


def test_a_job_s_folder_is_named_by_what_varied_and_is_safe(command):
    assert command("-m", *PLAIN, "trainer.max_steps=2", "model.hidden=[8],[8,4]", "seed=1").code == 0
    names = [path.name for path in sorted(sweep_of().iterdir()) if path.is_dir()]
    assert names == ["0_model.hidden=8", "1_model.hidden=8-4"]
    assert all(list((sweep_of() / name).glob("events.out.tfevents.*")) for name in names)


@pytest.mark.parametrize(
    ("number", "total", "overrides", "name"),
    [
        (3, 12, ["data=digits", "optimizer=sgd"], "03_optimizer=sgd"),
        (0, 1, ["optimizer=sgd"], "0_optimizer=sgd"),
        (0, 2, ["+model.x='a/b: c'"], "0_model.x=a-b_c"),
        (1, 2, ["optimizer.lr=0.0012345678901"], "1_optimizer.lr=0.001235"),
        (1, 2, [f"model.x={'y' * 300}"], "1_model.x=" + "y" * 110),
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


def test_each_job_gives_the_numbers_of_the_same_run_alone(command):
    settings = (*PLAIN, "trainer.max_epochs=1", "dropout=0.5")
    command("-m", *settings, "seed=1,2")
    in_sweep = records.read_run(sweep_of() / "1_seed=2").metrics
    assert in_sweep == command(*settings, "seed=2").record.metrics


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
    result = command(*MIXED[:-1], "optimizer.lr=0.1,-1,0.2", "sweep.fail_fast=true", "diagnostics=off")
    assert result.code == 1
    assert statuses(sweep_of()) == ["completed", "failed", None]
    assert "sweep.fail_fast" in result.err
    first = (sweep_of() / "0_optimizer.lr=0.1/metrics.json").read_bytes()
    again = command(f"sweep.resume={sweep_of()}", "sweep.fail_fast=false")
    assert again.code == 1  # the second job still has a rate that cannot be
    assert "to do: 1_optimizer.lr=-1, 2_optimizer.lr=0.2" in again.out
    assert statuses(sweep_of()) == ["completed", "failed", "completed"]
    assert (sweep_of() / "0_optimizer.lr=0.1/metrics.json").read_bytes() == first


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


@pytest.mark.parametrize("kill", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
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
    time.sleep(2)  # more than lit_dl.cli.hydra_job.WATCH_SECONDS
    assert len(process.workers) >= 2
    states = subprocess.run(["ps", "-o", "stat=", "-p", ",".join(process.workers)], capture_output=True, text=True)
    assert set(states.stdout.split()) <= {"Z"}  # gone, if not yet waited for


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


def test_a_job_of_an_experiment_that_is_a_sweep_is_resumed_as_one_run(command):
    command("experiment=cross_validation", "data.folds=2", "trainer.max_epochs=1", "diagnostics=off")
    job = sweep_of() / "0_data.fold=0"
    assert command(f"resume={job}", "trainer.max_epochs=2").code == 0
    assert records.read_run(job).epochs == 2


def test_the_command_of_the_best_job_gives_its_numbers_again(command):
    out = command("experiment=cross_validation", "data.folds=2", "trainer.max_epochs=1", "diagnostics=off").out
    (line,) = re.findall(r"repeat the best +OMP_NUM_THREADS=1 python -m lit_dl.train (.*)", out)
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


def test_a_users_own_yaml_goes_along_from_any_folder(command, monkeypatch):
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/mine.yaml").write_text("_target_: lit_dl.data.Digits\nbatch_size: 128\n")
    first = command("-m", "--config-dir", "conf", "data=mine", "trainer.max_steps=2", "diagnostics=off", "seed=1,2")
    assert first.code == 0
    sweep = sweep_of().absolute()
    (sweep / "1_seed=2/metrics.json").unlink()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert command(f"sweep.resume={sweep}").code == 0
    assert statuses(sweep) == ["completed"] * 2
    (line,) = re.findall(r"repeat the best +OMP_NUM_THREADS=1 python -m lit_dl.train (.*)", first.out)
    assert command(*line.split()).code == 0


def test_a_sweep_never_begins_in_the_folder_of_another(command):
    assert command("-m", *PLAIN, "seed=1", "trainer.fast_dev_run=true", "hydra.sweep.dir=mine").code == 0
    result = command("-m", *PLAIN, "seed=2", "hydra.sweep.dir=mine")
    assert result.code == 2
    assert "sweep.resume=mine" in result.err
