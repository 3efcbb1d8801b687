"""Whole runs: what they leave in the run folder, that they repeat, resume and stop as they should."""

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
        "gradient_flow.png", "curves.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "receipt.json",
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


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        pytest.param(("model=cnn", "dropout=0.3"), marks=pytest.mark.slow),
        pytest.param(("optimizer=rmsprop", "model.norm=batch"), marks=pytest.mark.slow),
    ],
)
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
