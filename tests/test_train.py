"""Whole runs: what they leave in the run folder, that they repeat, resume and stop as they should."""

import errno
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from tests.runs import PLAIN, PROGRAM, QUICK, events, steps_and_values

from lit_dl import records
from lit_dl.data import Digits
from lit_dl.diagnostics.parameters import MEASURES
from lit_dl.metrics import metrics_of
from lit_dl.models import MLP


def test_a_run_leaves_what_the_contract_names(command):
    result = command(*QUICK)
    assert result.code == 0
    assert re.fullmatch(r"outputs/train/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", str(result.folder))
    names = {path.relative_to(result.folder).as_posix() for path in result.folder.rglob("*") if path.is_file()}
    for name in (
        ".hydra/config.yaml", ".hydra/overrides.yaml", "train.log", "metrics.json", "confusion_matrix.png",
        "gradient_flow.png", "curves.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt",
    ):  # fmt: skip
        assert name in names
    content = json.loads((result.folder / "metrics.json").read_text())
    assert set(content) == {
        "schema", "status", "stop_reason", "metrics", "diagnosis", "epochs", "steps", "seconds", "samples_per_second",
        "diagnostics_seconds", "best_checkpoint", "data", "environment", "overrides", "choices",
    }  # fmt: skip
    record = result.record
    assert (record.status, record.stop_reason) == ("completed", "trainer.max_epochs=2 reached")
    names = ("loss", *(metric.name for metric in metrics_of("classes")))
    assert set(record.metrics) == {
        f"{part}/{name}" for part in ("train", "train_eval", "val", "test") for name in names
    }
    assert (record.epochs, record.steps) == (2, 44)  # 1,350 samples in batches of 64
    assert record.samples_per_second == pytest.approx(2 * 1350 / record.seconds)
    assert record.best_checkpoint == "checkpoints/best.ckpt"
    assert {"name": "digits", "train": 1350, "val": 150, "test": 297}.items() <= record.data.items()
    assert record.overrides == list(QUICK)
    assert record.environment["device"] == "cpu"


def test_tensorboard_has_the_tags_of_the_contract(command):
    result = command(*QUICK, "trainer.log_every_n_steps=10", "trainer.gradient_clip_val=1.0")
    found = events(result.folder).Tags()
    layers = ("01_linear", "02_linear", "03_linear")
    names = ("loss", *(metric.name for metric in metrics_of("classes")))
    expected = {f"{part}/{name}" for part in ("train", "val", "test") for name in names}
    expected |= {"lr", "grad_norm/total"}
    expected |= {f"{measure}/{layer}" for measure in MEASURES for layer in layers}
    expected |= {f"activation/{name}_relu/{of}" for name in ("01", "02") for of in ("mean", "std", "dead")}
    expected |= {"grad_norm_clipped/total"} | {f"hp/{name}" for name in result.record.metrics}
    assert set(found["scalars"]) == expected
    assert set(found["images"]) == {"gradient_flow", "confusion_matrix"}
    assert "diagnosis/text_summary" in found["tensors"]
    assert "_hparams_/experiment" in events(result.folder).summary_metadata
    assert steps_and_values(result.folder, "grad_norm/total")[0] == [1, 10, 20, 30, 40]
    assert steps_and_values(result.folder, "val/loss")[0] == [22, 44]
    for name, value in result.record.metrics.items():
        assert steps_and_values(result.folder, f"hp/{name}")[1] == [pytest.approx(value, rel=1e-6)]


def test_the_curve_of_the_training_loss_averages_to_the_epoch(command):
    result = command("data=digits", "trainer.max_epochs=1", "trainer.log_every_n_steps=1")
    values = steps_and_values(result.folder, "train/loss")[1]
    sizes = [64] * 21 + [6]
    mean = sum(size * value for size, value in zip(sizes, values, strict=True)) / 1350
    assert result.record.metrics["train/loss"] == pytest.approx(mean, rel=1e-5)


def test_no_batch_is_missing_from_the_curve_where_epochs_and_logged_steps_do_not_meet(command):
    result = command("data=digits", "trainer.max_epochs=5", "trainer.log_every_n_steps=10", "optimizer.lr=1e-12")
    steps, values = steps_and_values(result.folder, "train/loss")
    assert steps == [1, *range(10, 111, 10)]
    sizes = ([64] * 21 + [6]) * 5  # the weights hardly move, so the mean over five epochs is that of any one of them
    counts = [sum(sizes[first:last]) for first, last in zip([0, *steps], steps, strict=False)]
    mean = sum(count * value for count, value in zip(counts, values, strict=True)) / sum(counts)
    assert mean == pytest.approx(result.record.metrics["train/loss"], rel=1e-5)


def test_the_screen_shows_the_facts_the_layers_the_metrics_and_the_way_on(command):
    result = command(*QUICK)
    for words in (
        "1,350 training, 150 validation, 297 test", "55,210 parameters", "adam, lr 0.001", "13,000", "epoch 2/2",
        f"{result.record.metrics['test/acc']:.4f}", "completed: trainer.max_epochs=2 reached",
        f"tensorboard --logdir {result.folder}",
    ):  # fmt: skip
        assert words in result.out
        assert words in (result.folder / "train.log").read_text() or words.startswith("epoch")
    assert result.err == ""


@pytest.mark.parametrize("overrides", [(), ("model=cnn", "dropout=0.3"), ("optimizer=rmsprop", "model.norm=batch")])
def test_the_same_command_gives_the_same_numbers_to_the_bit(command, overrides):
    settings = (*QUICK, "data.train_size=300", *overrides)
    first = command(*settings).record.metrics
    assert command(*settings).record.metrics == first
    assert command(*settings, "seed=7").record.metrics != first


def test_seed_zero_is_a_seed_and_the_split_follows_its_own(command):
    settings = (*PLAIN, "trainer.max_steps=2")
    records = [command(*settings, *change).record for change in ((), ("seed=0",), ("seed=5",))]
    shas = {record.data["sha256"] for record in records}
    assert len(shas) == 1
    assert records[0].metrics == records[1].metrics != records[2].metrics
    assert command(*settings, "data.split_seed=1").record.data["sha256"] not in shas


def test_checkpoints_hold_tensors_and_primitives_and_the_net_is_rebuilt_from_the_config(command):
    folder = command(*PLAIN, "model.hidden=[30]").folder
    checkpoint = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    config = yaml.safe_load((folder / ".hydra/config.yaml").read_text())
    net = MLP((1, 8, 8), 10, config["model"]["hidden"])
    weights = checkpoint["state_dict"].items()
    net.load_state_dict({name.removeprefix("network."): value for name, value in weights})


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
        if len(writes) > 4:  # the best and the last checkpoint of each
            raise OSError(errno.ENOSPC, "No space left on device")
        original(handle)

    monkeypatch.setattr(os, "fsync", full_after_two_epochs)
    result = command("data=digits", "trainer.max_epochs=5")
    assert result.code == 1
    assert result.err.count("No space left on device") == 1
    assert "Traceback" not in result.err
    checkpoint = torch.load(result.folder / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 44
    assert {path.name for path in (result.folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


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


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.fast_dev_run=true",), ("trainer.enable_checkpointing=false",), ("logger=off",), ("diagnostics=off",),
        ("trainer.limit_val_batches=0",), ("trainer.accumulate_grad_batches=3",), ("trainer.precision=bf16-mixed",),
        ("data.batch_size=full",), ("scheduler=plateau",), ("scheduler=cosine",), ("l1=1e-4",),
        ("trainer.val_check_interval=0.5",), ("model.norm=batch", "data.train_size=65"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_work_together(command, overrides):
    result = command(*QUICK, "data.train_size=300", *overrides)
    assert result.code == 0, result.err
    assert result.record.status == "completed"
    assert "test/acc" in result.record.metrics


def test_a_regression_is_told_by_its_errors_and_the_share_of_variance_it_explains(command):
    record = command("data=regression", "loss=mse", *QUICK[1:], "data.features=10").record
    names = ("loss", "mae", "rmse", "r2")
    assert set(record.metrics) == {
        f"{part}/{name}" for part in ("train", "train_eval", "val", "test") for name in names
    }
    assert record.metrics["test/rmse"] ** 2 == pytest.approx(record.metrics["test/loss"], rel=1e-5)  # squared error
    assert record.metrics["test/mae"] <= record.metrics["test/rmse"]


def test_validation_and_test_are_of_the_same_parameters(command):
    folder = command(*PLAIN, "trainer.max_epochs=4", "trainer.check_val_every_n_epoch=3").folder
    validated_each_epoch = command(*PLAIN, "trainer.max_epochs=4").record.metrics
    assert records.read_run(folder).metrics == validated_each_epoch
    assert steps_and_values(folder, "val/loss")[0] == [66]


def test_the_training_part_is_evaluated_with_the_parameters_that_are_tested_and_without_dropout(command):
    result = command(*QUICK, "dropout=0.5", "early_stopping=on", "early_stopping.patience=1", "trainer.max_epochs=20")
    weights = torch.load(result.folder / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    network, data = MLP((1, 8, 8), 10, dropout=0.5).eval(), Digits()
    network.load_state_dict({name.removeprefix("network."): value for name, value in weights.items()})
    data.setup()
    inputs, labels = data.train_set.tensors
    accuracy = (network(inputs).argmax(1) == labels).float().mean().item()
    assert result.record.metrics["train_eval/acc"] == pytest.approx(accuracy, abs=1e-6)


def test_last_is_the_last_epoch_also_when_it_is_not_validated(command):
    folder = command(*PLAIN, "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2").folder
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 66


def test_ddp_trains_and_tests_once_in_one_folder(command, tmp_path):
    ddp = ["trainer.strategy=ddp", "trainer.devices=2", "data.batch_size=32", "model.hidden=[50]"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*PROGRAM, *QUICK, *ddp], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    folders = [path.parent for path in tmp_path.rglob(".hydra")]
    assert len(folders) == 1
    assert len(list((tmp_path / "outputs" / "train").iterdir())) == 1
    assert done.stdout.count("completed: ") == 1
    two = records.read_run(folders[0])
    assert two.steps == 44
    one = command(*QUICK, "model.hidden=[50]", "hydra.run.dir=alone")
    assert one.code == 0, one.err
    alone = Path("alone")
    single = records.read_run(alone)
    # Two ranks with 32 rows of each 64 take the steps that one takes with all 64; sums differ in rounding alone, but
    # for the last batch of 6 rows, whose mean the ranks average as they do: 3 rows each.
    for name, value in single.metrics.items():
        assert two.metrics[name] == pytest.approx(value, rel=1e-3), name
    for tag in (
        "grad_norm/total",
        "grad_rms/01_linear",
        "update_ratio/02_linear",
    ):  # of the synchronised gradient, once
        steps, values = steps_and_values(folders[0], tag)
        assert steps == [1, 20, 40]
        assert values == pytest.approx(steps_and_values(alone, tag)[1], rel=1e-3)
