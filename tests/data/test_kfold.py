"""Folds, against scikit-learn's own."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn import model_selection

from lit_dl.data import Digits, KFold, Spiral
from lit_dl.data.base import InMemoryData


class Line(InMemoryData):
    """Targets instead of classes: sample i is i, and so is its target."""

    name, in_shape, num_classes = "line", (1,), 1

    def load_pool(self):
        return torch.arange(50.0).unsqueeze(1), torch.arange(50.0)

    def load_test(self):
        return torch.full((9, 1), -1.0), torch.full((9,), -1.0)


def folds_of(base: InMemoryData, folds: int, **options) -> list[tuple[torch.Tensor, torch.Tensor]]:
    labels = base.load_pool()[1]
    return [KFold(base, folds, fold, **options).split(labels) for fold in range(folds)]


@pytest.mark.parametrize(
    ("base", "kind"), [(Digits(), model_selection.StratifiedKFold), (Line(), model_selection.KFold)]
)
def test_folds_are_scikit_learns(base, kind):
    labels = base.load_pool()[1].numpy()
    theirs = kind(7, shuffle=True, random_state=3).split(np.zeros(len(labels)), labels)
    for (train, val), (their_train, their_val) in zip(folds_of(base, 7, split_seed=3), theirs, strict=True):
        assert sorted(train.tolist()) == their_train.tolist()
        assert val.tolist() == their_val.tolist()


def test_folds_are_disjoint_cover_the_pool_and_keep_the_shares_of_the_classes():
    base = Spiral(points=100)
    labels = base.load_pool()[1]
    validated = []
    for train, val in folds_of(base, 5):
        assert not set(train.tolist()) & set(val.tolist())
        assert len(train) + len(val) == 300
        assert torch.bincount(labels[val]).tolist() == [20, 20, 20]
        validated += val.tolist()
    assert sorted(validated) == list(range(300))


def test_the_training_part_is_shuffled_so_that_its_first_samples_stand_for_all():
    data = KFold(Spiral(points=100), train_size=60)
    data.setup()
    assert torch.bincount(data.train_set.tensors[1]).min() > 10  # in order they would all be of class 0


def test_normalisation_is_that_of_the_training_folds_and_the_test_set_is_in_none():
    data = KFold(Line(), folds=5, fold=2)
    data.setup()
    inputs, targets = data.load_pool()
    train, val = data.split(targets)
    mean, std = inputs[train].mean(), inputs[train].std(correction=0)
    torch.testing.assert_close(data.val_set.tensors[0], (inputs[val] - mean) / std)
    assert data.sizes() == {"train": 40, "val": 10, "test": 9}
    assert (data.test_set.tensors[1] == -1).all()
    assert (data.train_set.tensors[1] >= 0).all()
    assert (data.val_set.tensors[1] >= 0).all()


@pytest.mark.slow
@pytest.mark.run
def test_folds_are_the_same_in_every_process():
    program = (
        "from lit_dl.data import *; base = Digits(); "
        "print([rows.tolist() for rows in KFold(base, 5, 1, shuffle_seed=8).split(base.load_pool()[1])])"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str([rows.tolist() for rows in folds_of(Digits(), 5)[1]])


def test_what_is_not_said_is_taken_from_the_base():
    base = Digits(batch_size=7, train_size=50, normalize=False)
    data = KFold(base)
    assert (data.batch_size, data.train_size, data.normalize) == (7, 50, False)
    assert (data.in_shape, data.num_classes, data.class_names) == (base.in_shape, 10, base.class_names)
    assert KFold(base, batch_size="full").batch_size == "full"
    moving = Digits(shift=2, rotate=9.0)
    assert (KFold(moving).shift, KFold(moving).rotate) == (2, 9.0)
    assert (KFold(moving, shift=0, rotate=0).shift, KFold(base, rotate=5).rotate) == (0, 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 1}, "folds is 1; it must be a whole number from 2 up"),
        ({"fold": 5}, "fold is 5; with 5 folds it goes from 0 to 4"),
        ({"fold": -1}, "fold is -1"),
        ({"split_seed": 2**32}, "split_seed"),
        ({"folds": 11}, "folds is 11, but spiral has 10 samples of its rarest class"),
    ],
)
def test_what_cannot_be_is_said(options, words):
    with pytest.raises(ValueError, match=words):
        KFold(Spiral(points=10), **options).setup()
