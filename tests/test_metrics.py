"""Metrics against scikit-learn, over batches and at once; and that each gets where metrics are read."""

import math
from functools import partial

import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
    top_k_accuracy_score,
)
from torch.optim import SGD

from lit_dl import metrics
from lit_dl.metrics import METRICS, brief, defined_for, is_better_larger, metrics_of, usual_metric
from lit_dl.models import MLP
from lit_dl.tasks.losses import classes_of
from lit_dl.tasks.sums import Sums
from lit_dl.tasks.supervised import Classifier, Regressor


def over(kind: str, outputs: torch.Tensor, targets: torch.Tensor, sizes: list[int], threshold=0.0) -> dict[str, float]:
    """The metrics of samples that come in batches of these sizes."""
    answers = partial(classes_of, threshold=threshold) if kind == "classes" else torch.Tensor.double
    sums = Sums(metrics_of(kind), answers)
    for part, wanted in zip(outputs.split(sizes), targets.split(sizes), strict=True):
        sums.add(torch.tensor(0.0), part, wanted)
    found = sums.means(sums.take().numpy())
    del found["loss"]
    return found


def in_batches(kind: str, outputs: torch.Tensor, targets: torch.Tensor, **options) -> dict[str, float]:
    """The metrics, which are the same however the samples come."""
    whole = over(kind, outputs, targets, [300], **options)
    for sizes in ([1] * 300, [7, 90, 3, 200]):  # also more than are added up at a time
        assert over(kind, outputs, targets, sizes, **options) == pytest.approx(whole, rel=1e-9)
    return whole


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(300, *shape, generator=torch.Generator().manual_seed(seed))


# Of 8 classes the last: never the true one; or never predicted either, so that scikit-learn does not see it.
@pytest.mark.parametrize("absent", ["nothing", "true", "both"])
@pytest.mark.parametrize("classes", [3, 5, 6, 8])
def test_of_several_classes_they_are_scikit_learns(classes, absent):
    outputs, generator = drawn(classes), torch.Generator().manual_seed(1)
    labels = torch.randint(classes - (absent != "nothing"), (300,), generator=generator)
    outputs[torch.arange(300), labels] += 1.0  # so that something is known
    if absent == "both":
        outputs[:, -1] -= 100
    predicted = outputs.argmax(dim=1)
    expected = {"acc": accuracy_score(labels, predicted), "f1": f1_score(labels, predicted, average="macro")}
    if classes > 5:
        expected["top5"] = top_k_accuracy_score(labels, outputs, k=5, labels=range(classes))
    assert in_batches("classes", outputs, labels) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_of_two_classes_by_one_output_they_are_scikit_learns(threshold):
    outputs, labels = drawn(1), torch.randint(2, (300,), generator=torch.Generator().manual_seed(1))
    predicted = (outputs[:, 0] > threshold).long()
    expected = {"acc": accuracy_score(labels, predicted), "f1": f1_score(labels, predicted, average="macro")}
    assert in_batches("classes", outputs, labels, threshold=threshold) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("shift", [0.0, 1000.0])  # sums of squares cancel where values are far from 0
def test_of_numbers_they_are_scikit_learns(targets, shift):
    wanted = 2 * drawn(targets) + shift
    outputs = wanted + drawn(targets, seed=1)
    expected = {
        "mae": mean_absolute_error(wanted, outputs),
        # scikit-learn's is the mean of each target's root; ours the root of the mean over all.
        "rmse": root_mean_squared_error(wanted.flatten(), outputs.flatten()),
        "r2": r2_score(wanted.double(), outputs.double()),
    }
    assert in_batches("numbers", outputs, wanted) == pytest.approx(expected, rel=1e-5)


def test_a_constant_target_has_no_r2():
    found = over("numbers", torch.tensor([[1.0], [2.0]]), torch.tensor([[7.1], [7.1]]), [2])
    assert found == {"mae": pytest.approx(5.6), "rmse": pytest.approx(math.sqrt((6.1**2 + 5.1**2) / 2))}


def test_every_metric_can_be_watched_and_ranked_by():
    tasks = {"classes": Classifier(MLP((2,), 3), SGD), "numbers": Regressor(MLP((2,), 3), SGD)}
    for metric in METRICS:
        for part in ("train", "val"):
            assert f"{part}/{metric.name}" in tasks[metric.of].metric_names
            assert f"{part}/{metric.name}" in metrics.NAMES
        assert metrics.TITLES[metric.name] == metric.title
    assert not set(tasks["classes"].metric_names) & {"val/r2", "val/mae", "val/rmse"}


def test_errors_are_best_where_they_are_least_and_the_others_where_they_are_largest():
    assert all(is_better_larger(f"val/{name}") for name in ("acc", "f1", "top5", "r2"))
    assert not any(is_better_larger(f"val/{name}") for name in ("loss", "mae", "rmse"))


def test_where_there_is_little_room_the_lesser_known_are_left_out():
    names = ["val/loss", "val/acc", "val/f1", "val/top5", "val/mae", "val/rmse", "val/r2"]
    assert brief(names) == ["val/loss", "val/acc", "val/mae", "val/rmse", "val/r2"]


def test_runs_are_ranked_by_what_is_wanted_or_else_by_what_they_have():
    assert usual_metric("val/f1", ["val/acc", "val/f1"]) == "val/f1"
    assert usual_metric("val/acc", ["val/loss", "val/r2"]) == "val/r2"
    assert usual_metric("val/acc", ["train/loss"]) == "train/loss"
    assert usual_metric("val/acc", []) == "val/acc"


def test_a_metric_that_says_nothing_of_so_few_outputs_is_not_offered():
    names = ["train/loss", "val/acc", "val/top5"]
    assert defined_for(5, names) == ["train/loss", "val/acc"]
    assert defined_for(6, names) == names
