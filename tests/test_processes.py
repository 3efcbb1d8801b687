"""Runs of several processes: one run folder and one voice, whoever started them, and none that is left behind."""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tests.runs import PROGRAM, check_refused, hear_interrupts

from lit_dl import records
from lit_dl.cli import hydra_job
from lit_dl.cli.process import place_of
from lit_dl.cli.resume import KEEP_HYDRA_FOLDER
from lit_dl.console import console, log

TWO = ("trainer.accelerator=cpu", "trainer.strategy=ddp", "trainer.devices=2")
LONG = ("data=digits", "trainer.max_epochs=100000", "diagnostics=off", *TWO, "hydra.run.dir=r")
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "RANK": "0"}
SECONDS = 30  # in which the others end when one was killed
VARIABLES = (
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
)


@pytest.fixture
def started_by(monkeypatch):
    """Let this process look as if a launcher had started it, with these variables and no others."""

    def start(**variables: str) -> None:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


@pytest.mark.parametrize(
    ("variables", "number", "started"),
    [
        ({}, 0, 1),
        ({"RANK": "3", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "a"}, 3, 4),  # torchrun, two nodes
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, 1, 1),  # of Lightning's own
        ({"NODE_RANK": "1"}, 1, 1),  # the first on a second machine
        ({"LOCAL_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "2"}, 0, 1),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, 1, 2),  # srun
        ({"SLURM_PROCID": "0"}, 0, 1),  # sbatch without srun
    ],
)
def test_which_of_a_runs_processes_this_is_and_how_many_there_are(started_by, variables, number, started):
    started_by(**variables)
    assert (records.process_number(), records.started_processes()) == (number, started)
    assert records.is_first() == (number == 0)


def test_the_first_process_alone_has_a_run_folder_of_its_own_a_voice_and_a_lock(started_by, tmp_path):
    before = log.level
    started_by(RANK="1")
    with place_of(["data=digits"]) as place, records.alone_in(tmp_path):
        folder = Path(place[0].removeprefix("hydra.run.dir=").strip("'"))
        assert folder.is_dir()
        assert folder.is_relative_to(tempfile.gettempdir())
        assert place[1:] == [KEEP_HYDRA_FOLDER]
        assert console.quiet
        assert log.level == logging.ERROR
    assert not folder.exists()
    assert not console.quiet
    assert log.level == before
    assert not list(tmp_path.iterdir())
    with place_of(["hydra.run.dir=r", KEEP_HYDRA_FOLDER]) as place:  # of a run that is resumed, or of Lightning
        assert place == []
    started_by(RANK="0")
    with place_of(["data=digits"]) as place, records.alone_in(tmp_path):
        assert place == []
        assert (tmp_path / records.LOCK_FILE).exists()


def test_what_is_wrong_with_a_command_is_said_by_the_first_process_alone(command, started_by, monkeypatch):
    monkeypatch.setattr(hydra_job, "WAIT_SECONDS", 0.0)
    started_by(**TORCHRUN)
    check_refused(command("data=digits", "trainer.max_epochs=-5"), ["trainer.max_epochs"])
    started_by(**{**TORCHRUN, "RANK": "1", "LOCAL_RANK": "1"})
    result = command("data=digits", "trainer.max_epochs=-5")
    assert (result.code, result.out, result.err) == (2, "", "")
    assert not Path("outputs").exists()


def test_a_failure_of_another_process_is_said_with_its_number(started_by, capsys):
    started_by(RANK="3")
    assert hydra_job.say_why(None, "no such file", hydra_job.FAILURE) == 1
    assert capsys.readouterr().err == "error: process 3: no such file\n"
    assert hydra_job.say_why(None, "interrupted", hydra_job.INTERRUPTED) == 130
    assert capsys.readouterr().err == ""


def test_processes_that_would_train_one_by_one_are_refused(command, started_by):
    started_by(**TORCHRUN)
    check_refused(command("data=digits", "trainer.devices=1", "trainer.accelerator=cpu"), ["2 processes", "devices=1"])


def test_a_sweep_of_several_processes_is_refused(command, started_by):
    started_by(**TORCHRUN)
    check_refused(command("-m", "data=digits", "seed=1,2"), ["a sweep is led by one process", "trainer.devices"])


def start(folder: Path, *command: str, **variables: str) -> subprocess.Popen:
    own = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env={**own, **variables}, preexec_fn=hear_interrupts, **pipes)


def wait_for(what, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


def children_of(process: subprocess.Popen) -> list[int]:
    return [
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    ]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("killed", ["child", "parent"])
def test_when_one_of_two_processes_is_killed_the_other_ends_and_says_so(tmp_path, killed):
    parent = start(tmp_path, *PROGRAM, *LONG)
    try:
        wait_for((tmp_path / "r/checkpoints/last.ckpt").is_file)
        (child,) = (pid for pid in children_of(parent) if b"lit_dl.train" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(child if killed == "child" else parent.pid, signal.SIGKILL)
        _, error = parent.communicate(timeout=SECONDS)
        wait_for(lambda: not is_alive(child), SECONDS)
    finally:
        parent.kill()
        parent.communicate()
    assert parent.returncode != 0
    assert error.strip()  # whoever is left says that the other has gone
    assert not records.is_running(tmp_path / "r")
    if killed == "child":
        assert "error: " in error or "terminated with code -9" in error
        if (tmp_path / "r" / records.METRICS_FILE).exists():  # not where Lightning was quicker
            assert records.read_run(tmp_path / "r").status == "failed"


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.mark.slow
@on_linux
def test_torchrun_and_slurm_make_one_run_of_two_processes_that_can_be_stopped_and_resumed(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"]
    began = start(tmp_path, *torchrun, "-m", "lit_dl.train", *(each for each in LONG if "run.dir" not in each))
    try:
        wait_for(lambda: list(tmp_path.glob("outputs/train/*/checkpoints/last.ckpt")))
        workers = children_of(began)
        began.send_signal(signal.SIGTERM)
        out, error = began.communicate(timeout=SECONDS + 30)
        wait_for(lambda: not any(map(is_alive, workers)), SECONDS)
    finally:
        began.kill()
        began.communicate()
    (folder,) = tmp_path.glob("outputs/train/*")
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert out.count("optimizer   adam") == 1  # the head of one process
    assert error.count("error: ") == 1
    assert "error: interrupted" in error
    record = records.read_run(folder)
    assert (record.status, len(list(folder.glob("events.out.tfevents.*"))) > 0) == ("interrupted", True)

    common = {
        "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1",
        "SLURM_JOB_ID": "1234", "SLURM_JOB_NAME": "train", "SLURM_NODEID": "0", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
    }  # fmt: skip
    resume = [*PROGRAM, f"resume={folder}", f"trainer.max_epochs={record.epochs + 1}"]
    tasks = [start(tmp_path, *resume, **common, SLURM_PROCID=rank, SLURM_LOCALID=rank) for rank in ("0", "1")]
    ends = [task.communicate(timeout=180) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], ends
    assert records.read_run(folder).status == "completed"
    assert records.read_run(folder).epochs == record.epochs + 1
    assert "completed: " in ends[0][0]
    assert ends[1][0] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert list(tmp_path.glob("outputs/train/*")) == [folder]
