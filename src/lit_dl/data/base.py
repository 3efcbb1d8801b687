"""What all data sets share: a pool, a test set apart, a split of the pool, and batches made by one gather."""

import hashlib
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lit_dl.data.augment import Augmented
from lit_dl.data.batches import Batches
from lit_dl.data.module import DataModule
from lit_dl.errors import check_bool, check_count, check_fraction, check_number

Samples = tuple[Tensor, Tensor]
"""Inputs, (N, *in_shape), uint8 or float, and labels, (N,) int64, or targets, (N, num_targets) float."""

NOISE_SEED = 0  # which labels are wrong is the same whatever the other seeds
MOST_CLASSES = 2000  # a confusion matrix of C x C numbers is counted anew for each batch of a test: 32 MB
EVALUATION_BATCH = 1000  # no gradients are kept, so larger than a training batch; 1,000 MNIST images take 3 MB


class InMemoryData(DataModule, ABC):
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
        shuffle_seed: seed of the order of the training batches, and of what ``shift`` and ``rotate`` do.
        shift: of images: each training image is moved in each epoch, by up to so many pixels in each direction.
        rotate: of images: each training image is turned in each epoch, by up to so many degrees either way. What comes
            in at the borders is black (0 before normalisation).

    Raises:
        ValueError: for an argument out of its range; from ``setup``, for a ``train_size``, ``shift`` or ``rotate`` that
            does not go with the data, and for more than ``MOST_CLASSES`` classes.
    """

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
        shift: int = 0,
        rotate: float = 0.0,
    ) -> None:
        super().__init__()
        if batch_size != "full":
            check_count("batch_size", batch_size, ", or full")
        check_fraction("val_fraction", val_fraction)
        check_number("label_noise", label_noise, least=0, most=1)
        if train_size is not None:
            check_count("train_size", train_size, ", or null for all")
        check_count("split_seed", split_seed, least=0)
        if split_seed >= 2**63:
            raise ValueError(f"split_seed is {split_seed}; torch takes seeds below 2**63")
        check_bool("normalize", normalize)
        check_count("shift", shift, " (pixels)", least=0)
        check_number("rotate", rotate, least=0, most=180, unit=" (degrees)")
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.train_size = train_size
        self.label_noise = label_noise
        self.normalize = normalize
        self.split_seed = split_seed
        self.shuffle_seed = shuffle_seed
        self.shift = shift
        self.rotate = rotate
        self.train_set: TensorDataset | None = None  # this and the next four are made by setup()
        self.val_set: TensorDataset | None = None
        self.test_set: TensorDataset | None = None
        self.background = torch.zeros(1)  # what 0 becomes by normalisation, (1, channels, 1, 1)
        self.sha256 = ""  # made by setup()

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
        return hold_out(len(labels), self.val_fraction, self.split_seed)

    def setup(self, stage: str | None = None) -> None:
        """Load, split and normalise. Done once; Lightning's later calls find the work done."""
        if self.train_set is not None:
            return
        self._check_movable()
        check_classes(self.name, self.num_classes)
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
            self.background = -mean / std
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
        """Shuffled batches of ``batch_size``: inputs (B, *in_shape) float32, shifted and rotated, and labels."""
        assert self.train_set is not None, "call setup() first"
        size = len(self.train_set) if self.batch_size == "full" else self.batch_size
        return self._loader(self.train_set, size, shuffle=True)

    def evaluation_dataloaders(self) -> list[DataLoader]:
        """The validation part and the training part, each in order, to be evaluated alike."""
        assert self.train_set is not None, "call setup() first"
        return [self.val_dataloader(), self._loader(self.train_set, EVALUATION_BATCH)]

    def val_dataloader(self) -> DataLoader:
        """The validation part in order."""
        assert self.val_set is not None, "call setup() first"
        return self._loader(self.val_set, EVALUATION_BATCH)

    def test_dataloader(self) -> DataLoader:
        """The test set in order."""
        assert self.test_set is not None, "call setup() first"
        return self._loader(self.test_set, EVALUATION_BATCH)

    def _moves(self) -> bool:
        return self.shift > 0 or self.rotate > 0

    def _check_movable(self) -> None:
        if not self._moves():
            return
        asked = f"shift is {self.shift} and rotate is {self.rotate:g}, but a sample of {self.name} has shape"
        if len(self.in_shape) != 3:
            raise ValueError(f"{asked} {self.in_shape}: only images (channels, height, width) can be moved")
        if self.shift >= min(self.in_shape[1:]):
            raise ValueError(f"{asked} {self.in_shape}: nothing would be left of some; take a smaller shift")

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
        source: Dataset = samples
        if shuffle and self._moves():
            source = Augmented(samples, sampler, self.shift, self.rotate, self.background)
        # The loader's own generator keeps its draws out of the global one, which dropout uses.
        return DataLoader(source, sampler=sampler, batch_size=None, generator=torch.Generator())


def hold_out(count: int, fraction: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Row numbers of two parts of ``count`` samples, each (n,) int64 and shuffled: the rest, and ``fraction`` of them.

    Neither part is empty, given two samples.
    """
    held = min(max(1, round(fraction * count)), count - 1)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return order[held:], order[:held]


def check_classes(what: str, count: int) -> None:
    """Raise a ValueError if ``what`` has more classes than can be told apart in bounded time and memory."""
    if count > MOST_CLASSES:
        raise ValueError(
            f"{what} has {count:,} classes, at most {MOST_CLASSES:,} are allowed; leave some out, or put them together"
        )


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
