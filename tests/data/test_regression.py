"""Random data for regression."""

import math

import pytest
import torch

from lit_dl.data import KFold, RandomRegression


def ready(data):
    data.setup()
    return data


def test_the_defaults_are_the_data_of_the_notes():
    data = ready(RandomRegression(batch_size="full"))
    assert data.sizes() == {"train": 64, "val": 16, "test": 80}
    ((inputs, targets),) = data.train_dataloader()
    assert (inputs.shape, targets.shape, targets.dtype) == ((64, 1000), (64, 10), torch.float32)
    assert (data.in_shape, data.out_features, data.num_classes) == ((1000,), 10, 0)


def test_inputs_and_targets_are_standard_normal_and_independent():
    inputs, targets = RandomRegression(samples=20000, features=5, targets=3).load_pool()
    both = torch.cat([inputs, targets], dim=1)
    spread = 5 / math.sqrt(20000)  # five standard errors
    assert both.mean(dim=0).abs().max() < spread
    assert (torch.cov(both.T) - torch.eye(8)).abs().max() < math.sqrt(2) * spread


def test_the_signal_is_a_linear_map_that_pool_and_test_set_share():
    data = RandomRegression(samples=200, features=5, targets=3, signal=2.0, noise=0.0)
    (inputs, targets), (test_inputs, test_targets) = data.load_pool(), data.load_test()
    found = torch.linalg.lstsq(inputs, targets).solution
    torch.testing.assert_close(test_inputs @ found, test_targets, rtol=1e-4, atol=1e-5)
    assert not torch.isclose(inputs, test_inputs).all(dim=1).any()


def test_the_share_that_can_be_predicted_is_that_of_the_formula():
    data = RandomRegression(samples=2000, features=400, targets=50, signal=2.0, noise=1.0)
    inputs, targets = data.load_pool()
    rest = targets - 2.0 * inputs @ data.weights()
    assert 1 - rest.var().item() / targets.var().item() == pytest.approx(4 / 5, abs=0.02)  # 20,000 weights: 1 % of W^2


def test_folds_of_targets_cover_the_pool_once():
    base = RandomRegression(samples=20, features=4, targets=2)
    folds = [ready(KFold(base, 5, fold)) for fold in range(5)]
    assert all(data.sizes() == {"train": 16, "val": 4, "test": 20} for data in folds)
    assert folds[0].out_features == 2
    validated = torch.cat([data.val_set.tensors[1] for data in folds])
    assert sorted(validated[:, 0].tolist()) == sorted(base.load_pool()[1][:, 0].tolist())


def test_the_fingerprint_knows_the_targets():
    prints = {ready(RandomRegression(features=4, noise=noise)).sha256 for noise in (0.5, 1.0)}
    assert len(prints) == 2


@pytest.mark.parametrize(
    "wrong", [{"samples": 1}, {"features": 0}, {"targets": 0}, {"signal": -1.0}, {"noise": math.inf}]
)
def test_an_argument_out_of_range_is_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        RandomRegression(**wrong)
