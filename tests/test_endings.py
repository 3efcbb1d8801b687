"""How whole runs end: completed, stopped early, diverged, failed, and what is kept then."""

import errno
import os
import re

import pytest
import torch
from tests.runs import PLAIN, QUICK, steps_and_values

from lit_dl import records


def test_early_stopping_tests_with_the_parameters_of_the_best_epoch(command):
    result = command(
        "data=digits", "data.train_size=200", "early_stopping=on", "early_stopping.patience=2", "optimizer.lr=0.02",
        "trainer.max_epochs=100",
    )  # fmt: skip
    record = result.record
    assert record.status == "early_stopped"
    assert "val/loss did not improve" in record.stop_reason
    _, losses = steps_and_values(result.folder, "val/loss")
    best = min(range(record.epochs), key=lambda epoch: losses[epoch])
    assert record.epochs == best + 1 + 2 < 100
    assert len(losses) == record.epochs
    assert record.metrics["val/loss"] == pytest.approx(losses[best], rel=1e-5)
    assert record.metrics["val/loss"] != pytest.approx(losses[record.epochs - 1], rel=1e-5)


@pytest.mark.parametrize("monitor", ["train/loss", "train/acc", "val/acc"])
def test_early_stopping_watches_any_metric(command, monitor):
    watched = ("early_stopping=on", f"early_stopping.monitor={monitor}", "early_stopping.patience=1")
    record = command(*PLAIN, "trainer.max_epochs=4", *watched, "early_stopping.min_delta=9").record
    # The first value is better than none at all, and no later one is better by 9.
    assert (record.status, record.epochs) == ("early_stopped", 2)
    assert monitor in record.stop_reason


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["trainer.max_steps=5"], "trainer.max_steps=5 reached"),
        (["trainer.max_time={seconds: 1}", "trainer.max_epochs=-1"], "trainer.max_time reached"),
    ],
)
def test_other_ends_are_named(command, overrides, reason):
    record = command("data=digits", "diagnostics=off", *overrides).record
    assert (record.status, record.stop_reason) == ("completed", reason)
    assert "test/acc" in record.metrics


def test_a_diverged_run_is_recorded_and_no_failure(command):
    result = command(*QUICK, "optimizer=sgd", "optimizer.lr=1e30", "activation=identity")
    assert result.code == 0
    assert result.record.status == "diverged"
    reason = "loss or gradient not finite at step 2; the last finite parameters are in checkpoints/last.ckpt"
    assert result.record.stop_reason == reason
    assert result.record.steps == 2
    assert result.record.metrics["train/loss"] is None
    assert "test/acc" not in result.record.metrics
    diverged = result.record.diagnosis[0]
    assert (diverged.kind, diverged.since_step) == ("diverged", 2)
    assert len(diverged.evidence["rows"]) == 64
    assert "finding: diverged since step 2: the loss is nan" in result.out


@pytest.mark.parametrize("diagnostics", ["basic", "off"])
def test_parameters_or_a_metric_that_are_not_finite_are_in_no_checkpoint(command, diagnostics):
    rate = "optimizer.lr=1e7"  # finite in the first epoch of one step; then the loss overflows
    settings = ("data.batch_size=full", "trainer.max_epochs=30", "optimizer=sgd", rate, "model.hidden=[64,64,64,64]")
    result = command("data=digits", *settings, "init=large", "activation=identity", f"diagnostics={diagnostics}")
    assert result.record.status == "diverged"
    for name in ("best", "last"):
        path = result.folder / "checkpoints" / f"{name}.ckpt"
        if path.is_file():
            checkpoint = torch.load(path, weights_only=True)
            assert all(torch.isfinite(value).all() for value in checkpoint["state_dict"].values())
    assert (result.folder / "checkpoints" / "last.ckpt").is_file()


def test_a_diverged_run_may_go_on_to_its_end(command):
    settings = ("optimizer=sgd", "optimizer.lr=1e30", "activation=identity", "diagnostics.on_divergence=continue")
    result = command(*QUICK, *settings)
    assert (result.record.status, result.record.steps) == ("diverged", 44)


def test_testing_the_best_parameters_leaves_the_diagnosis_of_the_whole_training(command):
    settings = ("data=digits", "data.train_size=100", "optimizer.lr=0.005", "trainer.max_epochs=60")
    result = command(*settings, "early_stopping=on", "early_stopping.patience=20")
    assert result.record.status == "early_stopped"
    assert [finding.kind for finding in result.record.diagnosis] == ["overfitting"]


def test_a_resumed_run_keeps_what_was_found_before(command):
    sick = ("data=digits", "model.hidden=[8,8,8,8,8,8,8,8]", "activation=sigmoid", "optimizer=sgd")
    folder = command(*sick, "trainer.max_epochs=4").folder
    first = records.read_run(folder)
    assert [finding.kind for finding in first.diagnosis] == ["vanishing_gradients"]
    resumed = command(f"resume={folder}", "trainer.max_epochs=6")
    assert records.read_run(folder).diagnosis[0] == first.diagnosis[0]
    assert "finding: vanishing" not in resumed.out  # it was said


def test_the_diagnosis_is_printed_at_the_end_with_its_cost(command):
    result = command(*QUICK, "trainer.max_epochs=5")
    assert [finding.kind for finding in result.record.diagnosis] == ["healthy"]
    assert re.search(r"healthy +1 +gradients reach every layer", result.out)
    share = re.search(r"diagnostics: ([\d.]+)% of training time", result.out)
    record = result.record
    assert float(share.group(1)) == pytest.approx(100 * record.diagnostics_seconds / record.seconds, rel=0.25)


def test_without_diagnostics_nothing_is_hooked_or_said(command):
    result = command(*QUICK, "diagnostics=off")
    assert (result.record.diagnosis, result.record.diagnostics_seconds) == ([], 0.0)
    assert "diagnos" not in result.out
    assert not (result.folder / "gradient_flow.png").exists()


def test_a_full_disk_is_said_once_and_leaves_the_last_good_checkpoint(command, monkeypatch):
    original, writes = os.fsync, []

    def full_after_two_epochs(handle):
        writes.append(handle)
        if len(writes) > 6:  # the receipt, twice, and the best and the last checkpoint of each
            raise OSError(errno.ENOSPC, "No space left on device")
        original(handle)

    monkeypatch.setattr(os, "fsync", full_after_two_epochs)
    result = command("data=digits", "trainer.max_epochs=5")
    assert result.code == 1
    assert result.err.count("No space left on device") == 1
    assert "Traceback" not in result.err
    checkpoint = torch.load(result.folder / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 44
    assert {path.name for path in (result.folder / "checkpoints").glob("*[!6]")} == {"best.ckpt", "last.ckpt"}


def test_a_run_that_breaks_is_recorded_with_its_reason(command, monkeypatch):
    def broken(self, batch, batch_idx):
        raise RuntimeError("the step broke")

    monkeypatch.setattr("lit_dl.tasks.supervised.Classifier.training_step", broken)
    result = command(*QUICK)
    assert result.code == 1
    assert "the step broke" in result.err
    assert "Traceback" not in result.err
    assert (result.record.status, result.record.stop_reason) == ("failed", "the step broke")
    assert "Traceback" in (result.folder / "train.log").read_text()


def test_missing_data_is_recorded_as_a_failure(command, monkeypatch):
    monkeypatch.setenv("LIT_DL_DATA_DIR", "nowhere")
    monkeypatch.setattr("lit_dl.data.mnist.MNIST.mirrors", ["http://127.0.0.1:9/"])
    result = command()
    assert result.code == 1
    assert "data=digits" in result.err
    assert result.record.status == "failed"
