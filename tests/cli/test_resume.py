"""Runs that were stopped, and go on."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock
from tests.folders import make_run, make_sweep
from tests.runs import PLAIN, PROGRAM, QUICK, hear_interrupts, steps_and_values

from lit_dl import records
from lit_dl.cli.resume import expand_resume
from lit_dl.errors import CommandError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resume="], ["resume=", "name a run folder"]),
        (["-m", "resume=somewhere"], ["resume=somewhere", "without -m"]),
        (["resume=somewhere", "model=cnn"], ["model=cnn would make another run", "trainer"]),
        (["resume=nowhere"], ["resume=nowhere", "no run folder"]),
        (["sweep.resume="], ["sweep.resume=", "name a sweep folder"]),
        (["sweep.resume=nowhere"], ["nowhere is no sweep folder", "sweep.json"]),
        (["sweep.resume=nowhere", "seed=3"], ["seed=3 would make another sweep"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_resumed_or_changed_is_said(arguments, words):
    with pytest.raises(CommandError) as raised:
        expand_resume(arguments)
    for word in words:
        assert word in str(raised.value)


def test_a_run_goes_on_with_what_it_was_started_with_but_for_what_is_typed_now(tmp_path):
    folder = make_run(tmp_path / "run", "data=digits", "trainer.max_epochs=2", "diagnostics=off", "diagnostics.x=1")
    (folder / "checkpoints").mkdir()
    records.write_checkpoint(records.last_checkpoint(folder), b"whole")
    expanded = expand_resume(["--config-dir", "conf", f"resume={folder}", "trainer.max_epochs=4", "diagnostics=basic"])
    assert expanded == [
        f"--config-dir={Path('conf').absolute()}", "data=digits", "trainer.max_epochs=4", "diagnostics=basic",
        f'resume="{folder}"', f'hydra.run.dir="{folder}"', "hydra.mode=RUN", "hydra.output_subdir=null",
    ]  # fmt: skip


def test_a_sweep_goes_on_with_its_command_and_other_settings_of_sweeps(tmp_path):
    folder = make_sweep(tmp_path / "sweep", {(0.1, 1): 0.5})
    expanded = expand_resume([f"sweep.resume={folder}", "sweep.fail_fast=true", "hydra/launcher=joblib"])
    assert expanded == [
        "-m", "sweep.fail_fast=true", "hydra/launcher=joblib",
        f'sweep.resume="{folder}"', f'hydra.sweep.dir="{folder}"', "hydra.mode=MULTIRUN",
    ]  # fmt: skip


def test_the_command_of_one_of_ddp_s_other_processes_is_left_as_it_is():
    typed = ["data=digits", "resume=somewhere", "hydra.output_subdir=null"]
    assert expand_resume(typed) == typed


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
def test_a_schedule_over_the_whole_training_is_not_resumed_into_a_longer_one(command, scheduler):
    folder = command(*PLAIN, f"scheduler={scheduler}").folder
    before = (folder / "metrics.json").read_bytes()
    result = command(f"resume={folder}", "trainer.max_epochs=4")
    assert result.code == 2
    assert "laid out for trainer.max_epochs=2" in result.err
    assert (folder / "metrics.json").read_bytes() == before


def test_what_diverged_or_was_stopped_early_is_not_resumed_by_mistake(command):
    diverged = command(*QUICK, "optimizer=sgd", "optimizer.lr=1e30", "activation=identity").folder
    assert "it diverged" in command(f"resume={diverged}", "trainer.max_epochs=4").err
    stopped = command(*PLAIN, "early_stopping=on", "early_stopping.min_delta=9", "early_stopping.patience=1").folder
    assert "early_stopping=off" in command(f"resume={stopped}", "trainer.max_epochs=4").err
    assert command(f"resume={stopped}", "trainer.max_epochs=4", "early_stopping=off").code == 0
    assert records.read_run(stopped).epochs == 4


def test_a_resumed_run_gives_the_numbers_of_one_that_was_not_stopped(command):
    settings = ("data=digits", "dropout=0.3", "scheduler=step", "scheduler.step_size=1")
    whole = command(*settings, "trainer.max_epochs=4").record
    stopped = command(*settings, "trainer.max_epochs=2").folder
    first = records.read_run(stopped)
    resumed = command(f"resume={stopped}", "trainer.max_epochs=4")
    assert resumed.code == 0
    record = records.read_run(stopped)
    assert record.metrics == whole.metrics
    assert (record.epochs, record.steps) == (4, 88)
    assert record.seconds > first.seconds
    assert record.samples_per_second == pytest.approx(4 * 1350 / record.seconds)
    assert "trainer.max_epochs=4" in yaml.safe_load((stopped / ".hydra/overrides.yaml").read_text())
    assert steps_and_values(stopped, "val/loss")[0] == [22, 44, 66, 88]


@pytest.mark.parametrize("validated", ["", "trainer.limit_val_batches=0"])
def test_a_run_of_so_many_steps_goes_on_to_more_with_every_epoch_counted_once(command, validated):
    settings = (*PLAIN, "trainer.max_epochs=6", *([validated] if validated else []))
    whole = command(*settings, "trainer.max_steps=88").record
    stopped = command(*settings, "trainer.max_steps=44").folder
    assert command(f"resume={stopped}", "trainer.max_steps=88").code == 0
    record = records.read_run(stopped)
    assert (record.epochs, record.steps, record.metrics) == (4, 88, whole.metrics)


def test_a_run_killed_while_testing_is_finished_with_all_its_metrics(command):
    whole = command(*PLAIN)
    metrics = whole.record.metrics
    (whole.folder / "metrics.json").unlink()
    assert command(f"resume={whole.folder}").code == 0
    assert records.read_run(whole.folder).metrics == metrics


def test_a_run_that_is_still_going_is_not_resumed_by_a_second_process(command):
    folder = command(*PLAIN).folder
    with FileLock(folder / ".lock"):
        result = command(f"resume={folder}", "trainer.max_epochs=3")
    assert result.code == 2
    assert "another process is at work" in result.err
    assert command(f"resume={folder}", "trainer.max_epochs=3").code == 0


def test_a_complete_run_is_resumed_only_for_more_epochs(command):
    folder = command(*PLAIN).folder
    before = (folder / "metrics.json").read_bytes()
    result = command(f"resume={folder}")
    assert result.code == 2
    assert "its 2 epochs are done" in result.err
    assert (folder / "metrics.json").read_bytes() == before


def test_steps_that_come_again_after_resuming_stand_once_in_the_curves(command):
    folder = command(*QUICK, "trainer.log_every_n_steps=11", "trainer.max_steps=40").folder  # 18 steps into epoch 2
    checkpoint = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 40
    earlier = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    assert earlier["global_step"] == 22
    (folder / "metrics.json").unlink()
    (folder / "checkpoints/last.ckpt").unlink()  # as if killed in epoch 2
    assert command(f"resume={folder}", "trainer.max_steps=-1").code == 0
    assert steps_and_values(folder, "grad_norm/total")[0] == [1, 11, 22, 33, 44]


def test_a_mistake_while_resuming_leaves_the_run_as_it_was(command):
    folder = command(*PLAIN).folder
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "train.log"}
    assert command(f"resume={folder}", "trainer.max_epochs=3", "trainer.precision=7").code == 2
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "train.log"}
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_from_outside_goes_on_where_it_was(command, tmp_path, kill):
    settings = ["data=digits", "trainer.accelerator=cpu", "model.hidden=[50]"]
    process = subprocess.Popen(
        [*PROGRAM, *settings, "trainer.max_epochs=100000"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(kill)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    folder = next(tmp_path.rglob(".hydra")).parent
    if kill == signal.SIGKILL:
        assert not (folder / "metrics.json").exists()
    else:
        assert process.returncode == 130
        assert records.read_run(folder).status == "interrupted"
    epoch = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["epoch"]
    assert command(f"resume={folder}", f"trainer.max_epochs={epoch + 3}").code == 0
    record = records.read_run(folder)
    assert (record.status, record.epochs) == ("completed", epoch + 3)
