"""Which rows are in which batch, of which process."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DistributedSampler, TensorDataset


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
            order = torch.randperm(count, generator=torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch)))
        else:
            order = torch.arange(count)
        for rows in order.tensor_split(self.starts[1:]):
            yield rows.tensor_split(self.num_replicas)[self.rank]


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for each epoch of each seed: their sum would give seed 1, epoch 1 that of seed 2, epoch 0."""
    return seed * 1_000_003 + epoch
