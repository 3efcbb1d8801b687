"""K-fold cross-validation of any data set."""

from typing import Any, Literal

import torch
from torch import Tensor

from lit_dl.data.base import InMemoryData, Samples
from lit_dl.errors import check_count


class KFold(InMemoryData):
    """A data set whose pool is split into ``folds`` parts of like size; one of them is the validation part.

    Over the folds, each sample of the pool is in the validation part once. The folds are scikit-learn's, shuffled by
    ``split_seed``: ``StratifiedKFold`` for classes, so that each fold has the shares of the pool, ``KFold`` for targets
    that are not whole numbers. The test set of ``base`` is in none of them.

    Args:
        base: the data set; its own split is not used.
        folds: number of folds, from 2 up to the number of samples in the smallest class (of all, for targets).
        fold: which one is the validation part, from 0 to ``folds`` - 1.
        split_seed: seed of the folds, below 2**32.
        batch_size, train_size, label_noise, normalize, shift, rotate: as for ``InMemoryData``; None takes that of
            ``base``.
        shuffle_seed: as for ``InMemoryData``.

    Raises:
        ValueError: for an argument out of its range; from ``setup``, for more folds than the data can give.
    """

    def __init__(
        self,
        base: InMemoryData,
        folds: int = 5,
        fold: int = 0,
        *,
        split_seed: int = 0,
        batch_size: int | Literal["full"] | None = None,
        train_size: int | None = None,
        label_noise: float | None = None,
        normalize: bool | None = None,
        shuffle_seed: int = 0,
        shift: int | None = None,
        rotate: float | None = None,
    ) -> None:
        if not isinstance(base, InMemoryData):
            raise ValueError(f"base is {getattr(base, 'name', base)!r}, which has no samples to divide into folds")
        super().__init__(
            batch_size=base.batch_size if batch_size is None else batch_size,
            train_size=base.train_size if train_size is None else train_size,
            label_noise=base.label_noise if label_noise is None else label_noise,
            normalize=base.normalize if normalize is None else normalize,
            split_seed=split_seed,
            shuffle_seed=shuffle_seed,
            shift=base.shift if shift is None else shift,
            rotate=base.rotate if rotate is None else rotate,
        )
        if split_seed >= 2**32:
            raise ValueError(f"split_seed is {split_seed}; scikit-learn takes seeds below 2**32")
        check_count("folds", folds, least=2)
        check_count("fold", fold, f" to {folds - 1}", least=0)
        if fold >= folds:
            raise ValueError(f"fold is {fold}; with {folds} folds it goes from 0 to {folds - 1}")
        self.base = base
        self.folds = folds
        self.fold = fold
        self.name = f"{base.name}, fold {fold} of 0 to {folds - 1}"
        self.in_shape = base.in_shape
        self.num_classes = base.num_classes
        self.num_targets = base.num_targets

    @property
    def class_names(self) -> list[str]:
        """Those of ``base``."""
        return self.base.class_names

    def prepare_data(self) -> None:
        """Fetch what ``base`` needs."""
        self.base.prepare_data()

    def load_pool(self) -> Samples:
        """The pool of ``base``."""
        return self.base.load_pool()

    def load_test(self) -> Samples:
        """The test set of ``base``."""
        return self.base.load_test()

    def split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Row numbers of the other folds, shuffled, and of this one, each (n,) int64."""
        from sklearn import model_selection  # a second of import, for this data set alone

        plain = labels.is_floating_point()
        counts = torch.bincount(labels) if not plain else torch.tensor([len(labels)])
        rarest = int(counts[counts > 0].min())
        if self.folds > rarest:
            where = f"has {rarest} samples" + ("" if plain else " of its rarest class")
            raise ValueError(f"folds is {self.folds}, but {self.base.name} {where}: a fold would get none")
        kind: Any = model_selection.KFold if plain else model_selection.StratifiedKFold
        parts = kind(self.folds, shuffle=True, random_state=self.split_seed).split(labels, labels)
        train, val = [torch.from_numpy(rows) for rows in list(parts)[self.fold]]
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.split_seed))
        return train[order], val
