"""What all data sets share: a pool, a test set apart, a split of the pool, and batches made by one gather."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, TypeGuard

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

Samples = tuple[Tensor, Tensor]
"""Inputs, (N, *in_shape), uint8 or float, and labels, (N,) int64, or targets, (N, num_targets) float."""

NOISE_SEED = 0  # which labels are wrong is the same whatever the other seeds
EVALUATION_BATCH = 1000  # no gradients are kept, so larger than a training batch; 1,000 MNIST images take 3 MB


class InMemoryData(LightningDataModule, ABC):
    """A data set that fits in memory, split into a training, a validation and a test part.

    A subclass gives ``name``, ``in_shape``, the two loaders, and ``num_classes`` or, for regression, ``num_targets``.
    The test set is never part of the pool. Scaling to [0, 1] (of uint8) and normalisation come after the split, from
    the training part only.

    Args:
        batch_size: samples in a training step (on each device), or ``"full"`` for the whole training part.
        val_fraction: share of the pool held out for validation, between 0 and 1, both excluded.
        train_size: use only the first n of the shuffled training part; None uses all.
        label_noise: share of the pool's labels that are drawn anew from all classes, so that no net can learn them but
            by heart (Zhang et al. 2017); the test set keeps its own. Only for classes.
        normalize: shift and scale each channel (of images) or feature (of vectors) to mean 0 and variance 1.
        split_seed: seed of the split into training and validation part, apart from every other seed.
        shuffle_seed: seed of the order of the training batches.

    Raises:
        ValueError: for an argument out of its range; from ``setup``, for a ``train_size`` the data cannot give.
    """

    name: str
    in_shape: tuple[int, ...]  # without the batch dimension, e.g. (1, 28, 28)
    num_classes: int = 0  # of a classification
    num_targets: int = 0  # values to predict for each sample, of a regression

    def __init__(
        self,
        *,
        batch_size: int | Literal["full"] = 64,
        val_fraction: float = 0.1,
        train_size: int | None = None,
        label_noise: float = 0.0,
        normalize: bool = True,
        split_seed: int = 0,
        shuffle_seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size != "full":
            check_count("batch_size", batch_size, ", or full")
        if not is_number(val_fraction) or not 0 < val_fraction < 1:
            raise ValueError(f"val_fraction is {val_fraction!r}; it must lie between 0 and 1, both excluded")
        if not is_number(label_noise) or not 0 <= label_noise <= 1:
            raise ValueError(f"label_noise is {label_noise!r}; it must lie between 0 and 1")
        if train_size is not None:
            check_count("train_size", train_size, ", or null for all")
        check_count("split_seed", split_seed, least=0)
        if split_seed >= 2**63:
            raise ValueError(f"split_seed is {split_seed}; torch takes seeds below 2**63")
        if not isinstance(normalize, bool):
            raise ValueError(f"normalize is {normalize!r}; it must be true or false")
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.train_size = train_size
        self.label_noise = label_noise
        self.normalize = normalize
        self.split_seed = split_seed
        self.shuffle_seed = shuffle_seed
        self.train_set: TensorDataset | None = None  # this and the next three are made by setup()
        self.val_set: TensorDataset | None = None
        self.test_set: TensorDataset | None = None
        self.sha256 = ""  # of the raw training samples and labels, in the order of the split

    @property
    def out_features(self) -> int:
        """Outputs that a network for this data has: one for each class or target."""
        return self.num_classes or self.num_targets

    @property
    def class_names(self) -> list[str]:
        """A name for each class; its number unless a subclass knows better."""
        return [str(label) for label in range(self.num_classes)]

    @abstractmethod
    def load_pool(self) -> Samples:
        """All samples that training and validation may see."""

    @abstractmethod
    def load_test(self) -> Samples:
        """The test set; disjoint from the pool."""

    def split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Row numbers of the training and of the validation part, each (n,) int64, shuffled by ``split_seed``.

        Args:
            labels: of the pool, (N,), or targets, (N, num_targets).
        """
        pool_size = len(labels)
        val_size = min(max(1, round(self.val_fraction * pool_size)), pool_size - 1)
        order = torch.randperm(pool_size, generator=torch.Generator().manual_seed(self.split_seed))
        return order[val_size:], order[:val_size]

    def setup(self, stage: str | None = None) -> None:
        """Load, split and normalise. Done once; Lightning's later calls find the work done."""
        if self.train_set is not None:
            return
        inputs, labels = self.load_pool()
        labels = self._with_noise(labels)
        train, val = self.split(labels)
        if self.train_size is not None:
            if self.train_size > len(train):
                raise ValueError(
                    f"train_size is {self.train_size:,}, but {self.name} has {len(train):,} training samples "
                    f"({len(labels):,} less {len(val):,} for validation)"
                )
            train = train[: self.train_size]
        test_inputs, test_labels = self.load_test()
        raw_train = inputs[train]
        self.sha256 = _sha256(raw_train, labels[train])
        parts = [_as_float(part) for part in (raw_train, inputs[val], test_inputs)]
        if self.normalize:
            mean, std = _mean_and_std(parts[0])
            for part in parts:
                part.sub_(mean).div_(std)
        self.train_set = TensorDataset(parts[0], labels[train])
        self.val_set = TensorDataset(parts[1], labels[val])
        self.test_set = TensorDataset(parts[2], test_labels)

    def _with_noise(self, labels: Tensor) -> Tensor:
        if self.label_noise == 0:
            return labels
        if labels.is_floating_point():
            raise ValueError(f"label_noise is {self.label_noise}, but {self.name} has numbers, not classes")
        generator = torch.Generator().manual_seed(NOISE_SEED)
        drawn = torch.rand(len(labels), generator=generator) < self.label_noise
        return torch.where(drawn, torch.randint(self.num_classes, labels.shape, generator=generator), labels)

    def sizes(self) -> dict[str, int]:
        """Number of samples in each part, after ``setup``."""
        parts = {"train": self.train_set, "val": self.val_set, "test": self.test_set}
        return {name: len(part) for name, part in parts.items() if part is not None}

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches of ``batch_size``: inputs (B, *in_shape) float32, labels (B,) int64."""
        assert self.train_set is not None, "call setup() first"
        size = len(self.train_set) if self.batch_size == "full" else self.batch_size
        return self._loader(self.train_set, size, shuffle=True)

    def train_eval_dataloader(self) -> DataLoader:
        """The training part in order, to be evaluated as the others are."""
        assert self.train_set is not None, "call setup() first"
        return self._loader(self.train_set, EVALUATION_BATCH)

    def val_dataloader(self) -> DataLoader:
        """The validation part in order."""
        assert self.val_set is not None, "call setup() first"
        return self._loader(self.val_set, EVALUATION_BATCH)

    def test_dataloader(self) -> DataLoader:
        """The test set in order."""
        assert self.test_set is not None, "call setup() first"
        return self._loader(self.test_set, EVALUATION_BATCH)

    def _loader(self, samples: TensorDataset, batch_size: int, shuffle: bool = False) -> DataLoader:
        trainer = self.trainer
        sampler = Batches(
            samples,
            batch_size,
            shuffle=shuffle,
            seed=self.shuffle_seed,
            rank=0 if trainer is None else trainer.global_rank,
            world_size=1 if trainer is None else trainer.world_size,
        )
        # The loader's own generator keeps its draws out of the global one, which dropout uses.
        return DataLoader(samples, sampler=sampler, batch_size=None, generator=torch.Generator())


class Batches(DistributedSampler):
    """A sampler of whole batches, for ``DataLoader(samples, sampler=Batches(...), batch_size=None)``.

    Each item is a (B,) int64 tensor of row numbers, so that a batch costs one gather and no Python for each sample.
    Over all ranks, each row comes exactly once an epoch, and each rank gets the same number of batches (Lightning's
    own sampler repeats rows until the ranks are even). The order depends on seed and epoch alone, so that a resumed
    run sees the batches it would have seen. As a DistributedSampler it gets ``set_epoch`` from Lightning, and no
    second sampler around it.

    Args:
        samples: what the rows are numbers of; at least ``world_size`` of them.
        batch_size: rows in a batch of one rank. A last, smaller batch is kept, but joins the one before it where it
            would leave a rank with a single row.
        shuffle: a new order each epoch, instead of 0, 1, 2, ...
        seed: of the order.
        rank, world_size: which share of each batch this process takes.

    Raises:
        ValueError: if there are fewer samples than processes.
    """

    def __init__(
        self, samples: TensorDataset, batch_size: int, *, shuffle: bool, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if len(samples) < world_size:
            raise ValueError(f"{len(samples)} samples cannot be shared among {world_size} processes")
        super().__init__(samples, num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed)
        step = batch_size * world_size
        self.starts = list(range(0, len(samples), step))
        least = world_size if batch_size == 1 else 2 * world_size  # batch normalisation needs two rows on each rank
        if len(self.starts) > 1 and len(samples) - self.starts[-1] < least:
            del self.starts[-1]

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Tensor]:
        count = len(self.dataset)  # type: ignore[arg-type]  # Dataset does not promise a length
        if self.shuffle:
            # seed + epoch, as DistributedSampler has it, would give seed 1 in epoch 1 the order of seed 2 in epoch 0.
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(count, generator=generator)
        else:
            order = torch.arange(count)
        for rows in order.tensor_split(self.starts[1:]):
            yield rows.tensor_split(self.num_replicas)[self.rank]


def check_count(name: str, value: object, alternative: str = "", least: int = 1) -> None:
    """Raise a ValueError unless ``value`` is a whole number of at least ``least`` (True and False are none)."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {least} up{alternative}")


def is_number(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a finite number (True and False are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _as_float(inputs: Tensor) -> Tensor:
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs.float()


def _mean_and_std(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel (dimension 1), over samples and positions; a constant channel keeps its scale."""
    dims = [dim for dim in range(inputs.dim()) if dim != 1]
    std, mean = torch.std_mean(inputs, dim=dims, keepdim=True, correction=0)
    return mean, torch.where(std > 0, std, 1.0)


def _sha256(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
