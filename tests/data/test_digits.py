"""scikit-learn's scans."""

import torch
from sklearn.datasets import load_digits

from lit_dl.data import Digits


def test_pool_and_test_set_are_all_the_scans_once():
    inputs, labels = (torch.cat(parts) for parts in zip(Digits().load_pool(), Digits().load_test(), strict=True))
    pixels, targets = load_digits(return_X_y=True)
    ours = sorted(
        [*image, label] for image, label in zip((inputs * 16).flatten(1).tolist(), labels.tolist(), strict=True)
    )
    theirs = sorted([*image, label] for image, label in zip(pixels.tolist(), targets.tolist(), strict=True))
    assert ours == theirs
    assert inputs.shape == (1797, 1, 8, 8)


def test_the_test_set_is_the_same_whatever_the_seeds():
    assert torch.equal(Digits().load_test()[0], Digits(split_seed=4, shuffle_seed=9).load_test()[0])
