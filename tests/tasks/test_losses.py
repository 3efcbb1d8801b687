"""Losses against their formulas, value by value."""

import math

import pytest
import torch

from lit_dl.tasks.losses import BinaryCrossEntropy, SquaredError, classes_of

OUTPUTS = torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])
LABELS = torch.tensor([2, 0])
LINKS = {
    None: lambda row, k: row[k],
    "sigmoid": lambda row, k: 1 / (1 + math.exp(-row[k])),
    "softmax": lambda row, k: math.exp(row[k]) / sum(math.exp(value) for value in row),
}


@pytest.mark.parametrize("link", LINKS)
def test_squared_error_of_classes_compares_with_one_hot(link):
    rows = OUTPUTS.tolist()
    errors = [(LINKS[link](rows[b], k) - (k == LABELS[b].item())) ** 2 for b in range(2) for k in range(3)]
    assert SquaredError(link)(OUTPUTS, LABELS).item() == pytest.approx(sum(errors) / 6, rel=1e-6)


def test_squared_error_of_numbers_is_their_mean_squared_difference():
    targets = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.5]])
    assert SquaredError()(OUTPUTS, targets).item() == pytest.approx((0.25 + 4 + 0 + 0 + 0.0625 + 1) / 6)


def test_targets_of_another_shape_are_never_broadcast():
    with pytest.raises(ValueError, match=r"\(2, 3\) for targets of shape \(2, 1\)"):
        SquaredError()(OUTPUTS, torch.zeros(2, 1))


def test_binary_cross_entropy_is_the_mean_of_minus_log_probability():
    rows = OUTPUTS.tolist()
    p = [[1 / (1 + math.exp(-value)) for value in row] for row in rows]
    losses = [-math.log(p[b][k] if k == LABELS[b].item() else 1 - p[b][k]) for b in range(2) for k in range(3)]
    assert BinaryCrossEntropy()(OUTPUTS, LABELS).item() == pytest.approx(sum(losses) / 6, rel=1e-6)


def test_with_a_single_output_the_class_is_the_target():
    single, labels = torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 1])
    expected = (-math.log(1 / (1 + math.exp(-2))) - math.log(1 / (1 + math.exp(1)))) / 2
    assert BinaryCrossEntropy()(single, labels).item() == pytest.approx(expected, rel=1e-6)
    assert SquaredError()(single, labels).item() == pytest.approx((1 + 4) / 2)


def test_the_class_is_the_largest_output_or_a_single_one_above_the_threshold():
    assert classes_of(OUTPUTS).tolist() == [2, 0]
    single = torch.tensor([[-0.1], [0.2], [0.7]])
    assert classes_of(single, BinaryCrossEntropy.threshold).tolist() == [0, 1, 1]  # sigmoid above one half
    assert classes_of(single, SquaredError("sigmoid").threshold).tolist() == [0, 1, 1]
    assert classes_of(single, SquaredError().threshold).tolist() == [0, 0, 1]  # nearer to 1 than to 0


def test_an_unknown_link_is_named():
    with pytest.raises(ValueError, match="link is 'tanh'; it must be sigmoid, softmax or null"):
        SquaredError("tanh")
