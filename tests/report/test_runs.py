"""Finding and reading run folders."""

from filelock import FileLock
from tests.folders import make_run, make_sweep

from lit_dl import records
from lit_dl.report.runs import find


def test_runs_are_found_in_run_folders_sweeps_and_folders_above_each_once(tmp_path):
    sweep = make_sweep(tmp_path / "outputs/train/multirun/now", {(0.1, 1): 0.5, (0.2, 1): 0.6})
    run = make_run(tmp_path / "outputs/train/then", "seed=3")
    names = [job.name for job in find([run, sweep, tmp_path / "outputs"]).jobs]
    assert sorted(names) == ["0_lr=0.1_seed=1", "1_lr=0.2_seed=1", "then"]


def test_jobs_without_a_record_are_told_apart(tmp_path):
    sweep = make_sweep(tmp_path / "sweep", {(0.1, 1): 0.5, (0.2, 1): 0.6, (0.3, 1): 0.7})
    names = list(records.read_sweep(sweep).jobs)
    for name in names[:2]:
        (sweep / name / "metrics.json").unlink()
    with FileLock(sweep / names[0] / records.LOCK_FILE):
        plan = records.read_sweep(sweep)
        plan.jobs["3_lr=0.4"] = ["optimizer.lr=0.4", "seed=1"]
        records.write_sweep(plan, sweep)
        jobs = find([sweep]).jobs
    assert [job.status for job in jobs] == ["running", "unfinished", "completed", "not started"]
    assert jobs[3].overrides == ["optimizer.lr=0.4", "seed=1"]


def test_what_cannot_be_read_is_named_and_skipped(tmp_path):
    sweep = make_sweep(tmp_path / "sweep", {(0.1, 1): 0.5, (0.2, 1): 0.6, (0.3, 1): 0.7, (0.4, 1): 0.8})
    broken = [sweep / name for name in records.read_sweep(sweep).jobs]
    (broken[0] / "metrics.json").write_text('{"status": "comp')
    (broken[1] / ".hydra/config.yaml").write_text("a: [1")
    (broken[2] / "curves.json").write_bytes(b"\xff\xfe")
    (sweep / "notes").mkdir()
    found = find([sweep, tmp_path / "nowhere"])
    assert [job.folder for job in found.jobs] == [broken[3]]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/sweep.json").write_text('{"jobs": 3}')
    assert "sweep.json is damaged" in find([tmp_path / "other"]).skipped[0]
    for folder in (*broken[:3], sweep / "notes", tmp_path / "nowhere"):
        assert sum(str(folder) in line for line in found.skipped) == 1
    assert all("\n" not in line for line in found.skipped)


def test_jobs_of_one_name_in_two_sweeps_are_told_apart(tmp_path):
    for name in ("one", "two"):
        plan = records.read_sweep(make_sweep(tmp_path / name, {(0.1, 1): 0.5}))
        plan.arguments = [f"--config-dir={name}"]
        records.write_sweep(plan, tmp_path / name)
    assert [job.flags for job in find([tmp_path]).jobs] == [["--config-dir=one"], ["--config-dir=two"]]
    assert [job.name for job in find([tmp_path]).jobs] == ["one/0_lr=0.1_seed=1", "two/0_lr=0.1_seed=1"]
