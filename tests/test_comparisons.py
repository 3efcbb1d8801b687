"""What the experiments that compare promise at their heads (slow)."""

import csv
import math
import statistics
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from tests.runs import COMPARISONS, events

from lit_dl.models import MLP

pytestmark = pytest.mark.slow


@pytest.fixture
def compared(command):
    """Run an experiment; gives its jobs by the value of what it compares."""

    def run(experiment: str) -> dict[str, list[dict[str, str]]]:
        factor = COMPARISONS[experiment]
        started = time.perf_counter()
        assert command(f"experiment={experiment}", "trainer.accelerator=cpu").code == 0
        assert time.perf_counter() - started < 180  # three minutes, beside another test on the other core
        (file,) = Path("outputs").rglob("report.csv")
        jobs = defaultdict(list)
        with file.open() as lines:
            for job in csv.DictReader(lines):
                jobs[job[factor]].append(job)
        return jobs

    return run


def mean(jobs: list[dict[str, str]], metric: str) -> float:
    return statistics.fmean(float(job[metric]) for job in jobs)


def findings(jobs: list[dict[str, str]]) -> list[set[str]]:
    return [set(job["diagnosis"].split()) for job in jobs]


def test_optimizers(compared):
    jobs = compared("optimizers")
    losses = {name: mean(group, "train/loss") for name, group in jobs.items()}
    assert max(losses, key=losses.get) == "bgd"
    adaptive = ("adam", "adagrad", "rmsprop")
    assert max(losses[name] for name in adaptive) < min(losses[name] for name in losses if name not in adaptive)
    assert {job["steps"] for job in jobs["bgd"]} == {"20"}
    assert {job["steps"] for name in losses if name != "bgd" for job in jobs[name]} == {"440"}


def test_activations(compared):
    jobs = compared("activations")
    accuracies = {name: mean(group, "val/acc") for name, group in jobs.items()}
    assert min(accuracies, key=accuracies.get) == "sigmoid"
    assert all("vanishing_gradients" in kinds for kinds in findings(jobs["sigmoid"]))
    assert not any("vanishing_gradients" in kinds for kinds in findings(jobs["relu"]))


def test_each_cure_shrinks_the_gap_of_the_net_that_overfits(compared):
    jobs = compared("five_cures")
    gaps = {name: mean(group, "train_eval/acc") - mean(group, "val/acc") for name, group in jobs.items()}
    sick = gaps.pop("overfitting")
    assert len(gaps) == 7
    assert max(gaps.values()) < sick
    assert mean(jobs["overfitting"], "train_eval/acc") == 1.0


def test_squared_error_of_probabilities_stays_behind_cross_entropy_and_that_of_outputs_does_not(compared):
    accuracies = {name: mean(group, "val/acc") for name, group in compared("losses").items()}
    assert accuracies["brier"] < accuracies["cross_entropy"] - 0.3
    assert accuracies["mse"] == pytest.approx(accuracies["cross_entropy"], abs=0.05)


def test_dropout(compared):
    jobs = compared("dropout")
    gaps = {rate: mean(group, "val/loss") - mean(group, "train/loss") for rate, group in jobs.items()}
    assert all(gaps["0"] > gaps[rate] for rate in ("0.4", "0.6", "0.8"))
    assert mean(jobs["0"], "train/acc") == 1.0
    assert mean(jobs["0"], "val/loss") > mean(jobs["0.8"], "val/loss")


def test_batch_sizes(compared):
    jobs = compared("batch_sizes")
    accuracies = [mean(jobs[size], "val/acc") for size in ("1", "8", "64", "full")]
    assert accuracies == sorted(accuracies, reverse=True)
    seconds = [mean(jobs[size], "seconds") for size in ("1", "8", "64", "full")]
    assert seconds == sorted(seconds, reverse=True)


def test_wide_or_deep(compared):
    jobs = compared("wide_or_deep")
    accuracies = {hidden: mean(group, "val/acc") for hidden, group in jobs.items()}
    deepest = max(accuracies, key=len)
    assert min(accuracies, key=accuracies.get) == deepest
    nets = [MLP((1, 8, 8), 10, [int(width) for width in hidden.strip("[]").split(",")]) for hidden in jobs]
    counts = [sum(parameter.numel() for parameter in net.parameters()) for net in nets]
    assert max(counts) / min(counts) < 1.03


def test_learning_rates(compared):
    jobs = compared("learning_rates")
    assert all("learning_rate_too_low" in kinds for kinds in findings(jobs["0.0001"]))
    assert all("learning_rate_too_high" in kinds for kinds in findings(jobs["10"]))
    well = {lr: mean(group, "val/acc") for lr, group in jobs.items() if all(job["val/acc"] for job in group)}
    assert max(well, key=well.get) in ("0.01", "0.1")


def test_training_set_size(compared):
    jobs = compared("training_set_size")
    assert all(mean(group, "train/acc") == 1.0 for group in jobs.values())
    rising = [mean(jobs[size], "val/acc") for size in ("25", "50", "100", "200", "1350")]
    assert rising == sorted(rising)


def test_inside_optimizers(compared):
    compared("inside_optimizers")
    folders = {
        path.parent.name.partition("optimizer=")[2]: path.parent for path in Path("outputs").rglob("metrics.json")
    }
    rates = {"sgd": 0.1, "adagrad": 0.01, "rmsprop": 0.001, "adam": 0.001}
    bounds = {"adagrad": 1, "rmsprop": 1 / math.sqrt(1 - 0.99), "adam": (1 - 0.9) / math.sqrt(1 - 0.999)}
    assert folders.keys() == rates.keys()
    for name, folder in folders.items():
        assert (folder / "effective_lr.png").stat().st_size > 10_000
        scalars, lr = events(folder), rates[name]
        for layer in ("01_linear", "02_linear", "03_linear"):
            effective, rms, largest = (
                [scalar.value for scalar in scalars.Scalars(f"{tag}/{layer}")]
                for tag in ("effective_lr", "step_rms", "step_max")
            )
            if name == "sgd":
                assert effective == pytest.approx([lr] * len(effective))
            else:
                assert max(largest) <= bounds[name] * lr * (1 + 1e-4)  # float32
            if name == "adagrad":
                assert all(later <= before for before, later in pairwise(effective))
                assert effective[-1] < effective[0] / 10
            if name in ("rmsprop", "adam"):
                assert effective[-1] > 1.1 * min(effective)
            if name == "adam":
                assert max(rms) <= lr * (1 + 1e-4)


def test_lenet_or_alexnet(compared, mnist_root, monkeypatch):
    monkeypatch.setenv("LIT_DL_DATA_DIR", str(mnist_root))
    jobs = compared("lenet_or_alexnet")
    nets = {
        (model, activation): [job for job in group if job["activation"] == activation]
        for model, group in jobs.items()
        for activation in ("sigmoid", "relu")
    }
    accuracies = {net: mean(group, "val/acc") for net, group in nets.items()}
    best = accuracies["alexnet", "relu"]
    assert best - accuracies["lenet", "relu"] >= 0.01
    assert best - accuracies["lenet", "sigmoid"] >= 0.1
    assert accuracies["lenet", "sigmoid"] - accuracies["alexnet", "sigmoid"] >= 0.3
    assert all("vanishing_gradients" in kinds for kinds in findings(nets["alexnet", "sigmoid"]))
    assert not any("vanishing_gradients" in kinds for kinds in findings(nets["alexnet", "relu"]))
