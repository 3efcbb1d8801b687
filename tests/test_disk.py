"""Full, broken and vanishing disks at each kind of write: one message, exit code 1, and the last good state stays."""

import builtins
import errno
import io
import os
import shutil
import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from tests.runs import PROGRAM

from lit_dl import records
from lit_dl.report.__main__ import main as report

RUN = ("data=digits", "data.train_size=128", "trainer.max_epochs=3", "trainer.accelerator=cpu")
IN_THE_PLANE = ("data=spiral", "data.batch_size=full", "trainer.max_epochs=3", "trainer.accelerator=cpu")


class Broken:
    """A file that is there and takes nothing."""

    def __init__(self, file, error: Callable[[], OSError]) -> None:
        self._file, self._error = file, error

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, *_):
        raise self._error()


@pytest.fixture
def broken(monkeypatch):
    """Let writes into files of one kind fail, by a pattern of their names, after so many that went well."""
    opened, kinds = builtins.open, []

    def fake(file, mode="r", *args, **kwargs):
        name = Path(os.fsdecode(file)).name if isinstance(file, str | bytes | os.PathLike) else ""
        for kind in kinds if set(mode) & set("wax+") else []:
            if fnmatch(name, kind["pattern"]):
                kind["writes"] += 1
                if kind["writes"] > kind["good"]:
                    if kind["number"] == errno.ENOENT:
                        raise kind["error"]()
                    return Broken(opened(file, mode, *args, **kwargs), kind["error"])
        return opened(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", fake)
    monkeypatch.setattr(io, "open", fake)

    def break_(pattern: str, number: int = errno.ENOSPC, good: int = 0) -> None:
        error = lambda: OSError(number, os.strerror(number))  # noqa: E731
        kinds.append({"pattern": pattern, "number": number, "good": good, "writes": 0, "error": error})

    break_.mend = kinds.clear
    return break_


def error_lines(text: str) -> int:
    return sum(line.startswith("error: ") for line in text.splitlines())


def check_said_once(result, name: str, number: int = errno.ENOSPC) -> None:
    """One message that names the file and what is wrong, exit code 1, no stack trace, nothing half written."""
    assert result.code == 1, result.err
    assert error_lines(result.err) == 1
    assert result.err.count(os.strerror(number)) == 1
    assert name in result.err
    assert "Traceback" not in result.err + result.out
    assert "Exception ignored" not in result.err
    assert not list(Path().rglob("*.part"))


@pytest.mark.parametrize(
    ("name", "number", "good", "epochs"),
    [  # a checkpoint is opened twice, to be written and to reach the disk
        ("last.ckpt", errno.ENOSPC, 4, 2),
        pytest.param("last.ckpt.sha256", errno.ENOSPC, 2, 2, marks=pytest.mark.slow),
        pytest.param("last.ckpt", errno.EIO, 4, 2, marks=pytest.mark.slow),
        pytest.param("best.ckpt", errno.EDQUOT, 2, 1, marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before_from_which_the_run_goes_on(
    command, broken, name, number, good, epochs
):
    whole = command(*RUN, "hydra.run.dir=whole")
    broken(f"*.{name}.[0-9]*.part", number, good)
    result = command(*RUN, "hydra.run.dir=r")
    check_said_once(result, name, number)
    record = records.read_run(Path("r"))
    assert (record.status, name in record.stop_reason) == ("failed", True)
    assert torch.load("r/checkpoints/last.ckpt", weights_only=True)["epoch"] == epochs - 1
    if number != errno.EIO:
        assert "Make room, then go on: python -m lit_dl.train resume=r" in result.err
    broken.mend()
    assert command("resume=r").code == 0
    assert records.read_run(Path("r")).metrics == records.read_run(Path("whole")).metrics
    assert whole.code == 0


@pytest.mark.slow
def test_without_any_checkpoint_the_message_says_to_start_again(command, broken):
    broken("*best.ckpt*")
    result = command(*RUN, "hydra.run.dir=r", "diagnostics=off")
    check_said_once(result, "best.ckpt")
    assert "Make room, then start again" in result.err


@pytest.mark.parametrize("number", [errno.ENOSPC, pytest.param(errno.EIO, marks=pytest.mark.slow)])
@pytest.mark.parametrize("good", [3, pytest.param(0, marks=pytest.mark.slow)])
def test_a_run_goes_on_without_tensorboard_says_so_at_once_and_ends_with_1(command, broken, number, good):
    broken("events.out.tfevents.*", number, good)
    result = command(*RUN, "hydra.run.dir=r", "trainer.log_every_n_steps=1")
    check_said_once(result, "TensorBoard's curves could not be written", number)
    at_once = f"TensorBoard's curves cannot be written: {os.strerror(number)}. The training goes on without"
    assert result.out.count(at_once) == 1
    assert result.out.index(at_once) < result.out.index("epoch 1/3")
    record = records.read_run(Path("r"))
    assert (record.status, record.epochs) == ("completed", 3)
    assert "test/acc" in record.metrics
    assert (Path("r") / records.CURVES_FILE).is_file()


@pytest.mark.parametrize("number", [errno.ENOSPC, pytest.param(errno.ENOENT, marks=pytest.mark.slow)])
def test_a_run_goes_on_without_its_log(command, broken, number):
    broken("train.log", number)
    result = command(*RUN, "hydra.run.dir=r", "diagnostics=off")
    check_said_once(result, "train.log could not be written", number)
    assert result.out.count("train.log cannot be written") == 1
    assert records.read_run(Path("r")).status == "completed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "settings"),
    [
        ("*curves.json*", RUN),
        ("*metrics.json*", RUN),
        ("*confusion_matrix.png*", RUN),
        ("*path.png*", ("experiment=himmelblau", "trainer.max_steps=50")),
    ],
)
def test_what_is_written_at_the_end_of_a_run_can_be_written_later(command, broken, pattern, settings):
    broken(pattern)
    result = command(*settings, "hydra.run.dir=r")
    name = pattern.strip("*")
    check_said_once(result, name)
    assert not (Path("r") / name).exists()
    if name != records.METRICS_FILE:
        assert records.read_run(Path("r")).status == "failed"
    broken.mend()
    resumed = command("resume=r")
    assert resumed.code == 0, resumed.err
    assert records.read_run(Path("r")).status == "completed"
    assert (Path("r") / name).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "settings"),
    [
        ("*gradient_flow.png*", RUN),
        ("*feature_maps.png*", (*RUN, "model=cnn")),
        ("*decision_regions.gif*", (*IN_THE_PLANE, "animate=true")),
    ],
)
def test_a_picture_of_the_training_that_cannot_be_written_leaves_what_was_trained(command, broken, pattern, settings):
    broken(pattern)
    check_said_once(command(*settings, "hydra.run.dir=r"), pattern.strip("*"))
    broken.mend()
    assert command("resume=r", "trainer.max_epochs=4").code == 0
    assert (records.read_run(Path("r")).status, records.read_run(Path("r")).epochs) == ("completed", 4)
    assert (Path("r") / pattern.strip("*")).stat().st_size > 0


def test_a_picture_that_cannot_be_written_leaves_the_one_before(tmp_path, broken):
    from matplotlib.figure import Figure

    from lit_dl.plots.canvas import save_figure

    save_figure(Figure(), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    broken("*a.png*")
    with pytest.raises(OSError, match=r"No space left on device: '.*/a.png'"):
        save_figure(Figure(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("name", "number"),
    [("config.yaml", errno.ENOSPC), pytest.param("overrides.yaml", errno.EIO, marks=pytest.mark.slow)],
)
def test_a_run_whose_config_cannot_be_written_does_not_begin(command, broken, name, number):
    broken(name, number)
    result = command(*RUN, "hydra.run.dir=r")
    assert (result.code, error_lines(result.err)) == (1, 1)
    assert os.strerror(number) in result.err
    assert "Traceback" not in result.err
    assert not (Path("r") / records.METRICS_FILE).exists()


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "good"), [("*sweep.json*", 0), ("*report.html*", 0)])
def test_a_sweep_that_cannot_be_written_says_so_once_and_goes_on_when_there_is_room(command, broken, pattern, good):
    sweep = ("-m", *RUN, "diagnostics=off", "seed=1,2", "hydra.sweep.dir=s")
    broken(pattern, good=good)
    result = command(*sweep)
    check_said_once(result, pattern.strip("*"))
    broken.mend()
    again = command("sweep.resume=s") if (Path("s") / records.SWEEP_FILE).exists() else command(*sweep)
    assert again.code == 0, again.err
    assert (Path("s") / "report.html").is_file()
    assert len(list(Path("s").glob("*/metrics.json"))) == 2


@pytest.mark.slow
def test_a_job_of_a_sweep_that_loses_its_curves_is_named_and_the_sweep_ends_with_1(command, broken):
    broken("events.out.tfevents.*")
    result = command("-m", *RUN, "diagnostics=off", "seed=1,2", "hydra.sweep.dir=s")
    assert result.code == 1
    assert result.err.count("TensorBoard's curves could not be written") == error_lines(result.err) == 2
    assert "s/0_seed=1" in result.err
    assert [records.read_run(path.parent).status for path in Path("s").glob("*/metrics.json")] == ["completed"] * 2


@pytest.mark.slow
def test_a_search_whose_database_cannot_be_written_says_so_once(command, monkeypatch):
    optuna = pytest.importorskip("optuna")
    sqlite = pytest.importorskip("sqlalchemy").exc

    def full(*_, **__):
        try:
            raise sqlite.OperationalError("INSERT", {}, Exception("database or disk is full"))
        except sqlite.OperationalError as error:
            raise optuna.exceptions.StorageInternalError("An exception is raised during the commit.") from error

    search = ("-m", *RUN, "diagnostics=off", "hydra/sweeper=optuna", "optimizer.lr=0.001,0.01", "hydra.sweep.dir=s",
              "hydra.sweeper.n_trials=2")  # fmt: skip
    with monkeypatch.context() as now:
        now.setattr(optuna.Study, "tell", full)
        result = command(*search)
    assert result.code == 1
    assert error_lines(result.err) <= 2  # of the study, and of the job without a result
    assert result.err.count("database or disk is full") == 1
    assert "Traceback" not in result.err
    assert command("sweep.resume=s").code == 0


@pytest.mark.slow
def test_a_report_that_cannot_be_written_says_so(command, broken, capfd):
    command(*RUN, "hydra.run.dir=a/r", "diagnostics=off")
    broken("*report.csv*")
    assert report(["a"]) == 1
    error = capfd.readouterr().err
    assert error.count("No space left on device") == 1
    assert "Traceback" not in error


def limited(size: int) -> Callable[[], None]:
    """For ``preexec_fn``: no file may be longer than ``size`` bytes, as with a quota; writes beyond it fail."""
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="limits the length of files as POSIX does")
@pytest.mark.parametrize(
    ("size", "net", "status", "words"),
    [
        (60_000, "model.hidden=[4]", "completed", "TensorBoard's curves could not be written (File too large)"),
        (100_000, "model.hidden=[200]", "failed", "File too large: {folder}/checkpoints/"),
    ],
)
def test_files_that_the_system_lets_grow_no_longer_are_said_once(tmp_path, size, net, status, words):
    often = ("diagnostics=off", "data.batch_size=8", "trainer.log_every_n_steps=1", "trainer.max_epochs=40")
    program = subprocess.run(
        [*PROGRAM, *RUN, *often, net, "hydra.run.dir=r"], cwd=tmp_path, preexec_fn=limited(size),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert program.returncode == 1
    assert error_lines(program.stderr) == 1
    assert words.format(folder=tmp_path / "r") in program.stderr
    assert "Traceback" not in program.stdout + program.stderr
    assert records.read_run(tmp_path / "r").status == status


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 760 KB: for what a run writes, and a checkpoint of 680 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=760k", "tmpfs", str(disk)], capture_output=True)
    except OSError as error:
        pytest.skip(f"cannot make a small disk: {error}")
    if mounted.returncode != 0:
        pytest.skip(f"cannot make a small disk: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full_ends_a_run_with_one_message_and_its_record(small_disk):
    program = subprocess.run(
        [*PROGRAM, *RUN, "hydra.run.dir=r"], cwd=small_disk, capture_output=True, text=True, check=False
    )
    assert program.returncode == 1
    assert error_lines(program.stderr) == 1
    assert "No space left on device: " in program.stderr
    assert "Traceback" not in program.stdout + program.stderr
    assert "Exception ignored" not in program.stderr
    assert records.read_run(small_disk / "r").status == "failed"
    torch.load(small_disk / "r/checkpoints/best.ckpt", weights_only=True)
    assert not list(small_disk.rglob("*.part"))


def remove(folder: Path) -> None:
    while folder.exists():  # TensorBoard's thread may be writing into it
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("leave", "settings"),
    [
        (lambda folder: folder.rename("elsewhere"), ()),
        pytest.param(remove, (), marks=pytest.mark.slow),
        pytest.param(remove, ("trainer.enable_checkpointing=false",), marks=pytest.mark.slow),
    ],
    ids=["renamed", "removed", "removed, without checkpoints"],
)
def test_a_run_whose_folder_goes_says_so_once_and_writes_nothing_elsewhere(command, monkeypatch, leave, settings):
    from lit_dl.tasks.supervised import Classifier

    step, folder = Classifier.training_step, Path("r")

    def go(self, batch, batch_idx):
        if self.trainer.global_step == 1:
            leave(folder)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", go)
    result = command(*RUN, "hydra.run.dir=r", "trainer.log_every_n_steps=1", *settings)
    assert result.code == 1
    assert error_lines(result.err) == 1
    assert "the run folder was moved or removed" in result.err
    assert "Traceback" not in result.err + result.out
    assert "cannot be written" not in result.out
    assert not folder.exists()
    assert {path.name for path in Path().iterdir()} <= {"elsewhere"}
