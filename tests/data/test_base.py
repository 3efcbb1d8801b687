"""The split, the normalisation and the batches."""

import re

import pytest
import torch
from torch.utils.data import TensorDataset

from lit_dl.data import Digits, RandomRegression, Spiral
from lit_dl.data.base import InMemoryData
from lit_dl.data.batches import Batches


class Ramp(InMemoryData):
    """Sample i is the image of two 1x2 channels (i, 2 i) and (7, 7); the test set is far away from the pool."""

    name = "ramp"
    in_shape = (2, 1, 2)
    num_classes = 2

    def load_pool(self):
        return ramp(100), torch.arange(100) % 2

    def load_test(self):
        return ramp(10) + 1000, torch.arange(10) % 2


def ramp(count: int) -> torch.Tensor:
    numbers = torch.arange(count, dtype=torch.float32)
    varying = torch.stack([numbers, 2 * numbers], dim=1)
    return torch.stack([varying, torch.full((count, 2), 7.0)], dim=1).unsqueeze(2)


def ready(data: InMemoryData) -> InMemoryData:
    data.prepare_data()
    data.setup()
    return data


def test_the_split_is_disjoint_covers_the_pool_and_follows_its_own_seed():
    train, val = Ramp(val_fraction=0.25).split(torch.arange(100) % 2)
    assert len(val) == 25
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(100))
    same = Ramp(val_fraction=0.25, shuffle_seed=5).split(torch.arange(100) % 2)
    other = Ramp(val_fraction=0.25, split_seed=1).split(torch.arange(100) % 2)
    assert torch.equal(train, same[0])
    assert not torch.equal(train, other[0])


def test_normalisation_is_measured_on_the_training_part_alone():
    data = ready(Ramp(val_fraction=0.3, train_size=40))
    rows = data.split(torch.arange(100) % 2)[0][:40]
    values = [value for row in rows.tolist() for value in (row, 2 * row)]
    mean = sum(values) / len(values)
    std = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    inputs = data.train_set.tensors[0]
    for sample, row in zip(inputs, rows.tolist(), strict=True):
        assert sample[0].flatten().tolist() == pytest.approx([(row - mean) / std, (2 * row - mean) / std], abs=1e-5)
    assert data.test_set.tensors[0][0, 0, 0, 0].item() == pytest.approx((1000 - mean) / std, rel=1e-5)


def test_label_noise_draws_so_many_labels_anew_and_leaves_the_test_set_alone():
    clean, noisy = ready(Digits(split_seed=3)), ready(Digits(split_seed=3, label_noise=0.3))
    wrong = torch.cat([noisy.train_set.tensors[1] != clean.train_set.tensors[1],
                       noisy.val_set.tensors[1] != clean.val_set.tensors[1]])  # fmt: skip
    # Each of 1,500 labels is another one with probability 0.3 * 9 / 10; four standard deviations.
    assert wrong.float().mean().item() == pytest.approx(0.27, abs=4 * (0.27 * 0.73 / 1500) ** 0.5)
    assert torch.equal(noisy.test_set.tensors[1], clean.test_set.tensors[1])
    assert torch.equal(noisy.train_set.tensors[0], clean.train_set.tensors[0])
    again = ready(Digits(split_seed=3, label_noise=0.3, shuffle_seed=9))
    assert torch.equal(again.train_set.tensors[1], noisy.train_set.tensors[1])


def test_label_noise_is_for_classes():
    with pytest.raises(ValueError, match=r"label_noise is 0\.5, but regression has numbers, not classes"):
        RandomRegression(label_noise=0.5).setup()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("label_noise", 2, "label_noise is 2; it must be a number from 0 to 1"),
        ("label_noise", -0.1, "label_noise is -0.1; it must be a number from 0 to 1"),
        ("val_fraction", 1.0, "val_fraction is 1.0; it must lie between 0 and 1, both excluded"),
        ("batch_size", 0, "batch_size is 0; it must be a whole number from 1 up, or full"),
        ("train_size", 0, "train_size is 0; it must be a whole number from 1 up, or null for all"),
        ("split_seed", -1, "split_seed is -1; it must be a whole number from 0 up"),
        ("normalize", "no", "normalize is 'no'; it must be true or false"),
    ],
)
def test_an_argument_out_of_range_is_named_with_what_it_must_be(option, value, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        Ramp(**{option: value})


def test_more_classes_than_can_be_told_apart_are_refused_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr(Ramp, "num_classes", 2001)
    monkeypatch.setattr(Ramp, "load_pool", lambda self: pytest.fail("it was loaded"))
    with pytest.raises(ValueError, match="ramp has 2,001 classes, at most 2,000 are allowed"):
        Ramp().setup()


def test_more_training_samples_than_there_are_is_said_with_the_numbers():
    with pytest.raises(ValueError, match=r"train_size is 91, but ramp has 90 training samples \(100 less 10 for"):
        Ramp(train_size=91).setup()


def test_a_constant_channel_stays_finite():
    assert torch.equal(ready(Ramp()).train_set.tensors[0][:, 1], torch.zeros(90, 1, 2))


def test_without_normalisation_values_stay():
    data = ready(Ramp(normalize=False))
    assert torch.equal(data.train_set.tensors[0], ramp(100)[data.split(torch.arange(100) % 2)[0]])


def test_train_size_takes_the_first_of_the_shuffled_training_part():
    small, all_of_it = ready(Digits(train_size=50)), ready(Digits())
    assert torch.equal(small.train_set.tensors[1], all_of_it.train_set.tensors[1][:50])
    assert small.sizes() == {"train": 50, "val": 150, "test": 297}


def test_the_fingerprint_names_what_is_trained_on():
    assert ready(Digits()).sha256 == ready(Digits(batch_size=7, shuffle_seed=3)).sha256
    assert len({ready(Digits(**change)).sha256 for change in ({}, {"split_seed": 1}, {"train_size": 50})}) == 3


def test_a_loader_gives_each_training_sample_once_in_batches_of_the_size_asked_for():
    data = ready(Ramp(batch_size=32, normalize=False))
    batches = list(data.train_dataloader())
    assert [len(labels) for _, labels in batches] == [32, 32, 26]
    seen = torch.cat([inputs[:, 0, 0, 0] for inputs, _ in batches])
    assert sorted(seen.tolist()) == sorted(data.split(torch.arange(100) % 2)[0].tolist())
    assert [len(labels) for _, labels in ready(Ramp(batch_size="full")).train_dataloader()] == [90]


def test_for_an_evaluation_both_parts_come_in_order_and_unmoved():
    data = ready(Digits(batch_size=7, shift=1))
    parts = [list(loader) for loader in data.evaluation_dataloaders()]
    for batches, samples in zip(parts, (data.val_set, data.train_set), strict=True):
        for column, tensor in enumerate(samples.tensors):
            assert torch.equal(torch.cat([batch[column] for batch in batches]), tensor)


def test_labels_stay_with_their_inputs():
    for inputs, labels in ready(Ramp(batch_size=32, normalize=False)).train_dataloader():
        assert torch.equal(inputs[:, 0, 0, 0].long() % 2, labels)


def samples(count: int) -> TensorDataset:
    return TensorDataset(torch.arange(count))


@pytest.mark.parametrize(("count", "world_size"), [(1350, 2), (1351, 2), (129, 2), (10, 3), (128, 4), (131, 4)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_over_all_ranks_each_row_comes_once_in_equally_many_batches(count, world_size, shuffle):
    ranks = [
        list(Batches(samples(count), 32, shuffle=shuffle, seed=3, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert sorted(row for batches in ranks for rows in batches for row in rows.tolist()) == list(range(count))
    assert len({len(batches) for batches in ranks}) == 1
    assert all(len(rows) > 0 for batches in ranks for rows in batches)


def test_the_order_is_new_each_epoch_and_seed_and_the_same_when_asked_again():
    def order(seed: int, epoch: int) -> list[int]:
        batches = Batches(samples(50), 8, shuffle=True, seed=seed)
        batches.set_epoch(epoch)
        return [row for rows in batches for row in rows.tolist()]

    assert order(0, 0) == order(0, 0)
    orders = [order(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert len({tuple(rows) for rows in orders}) == 9


def test_batches_draw_nothing_from_the_global_random_numbers():
    data = ready(Spiral(batch_size=64))
    before = torch.get_rng_state()
    assert len(list(data.train_dataloader())) == 43
    assert torch.equal(torch.get_rng_state(), before)


def test_more_processes_than_samples_are_refused():
    with pytest.raises(ValueError, match="2 samples cannot be shared among 3 processes"):
        Batches(samples(2), 32, shuffle=True, seed=0, world_size=3)
