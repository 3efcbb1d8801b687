"""Batches of any size from a data set of any size."""

import torch
from torch import Tensor

from lit_dl.data.base import InMemoryData


def batch_of(data: InMemoryData, size: int) -> tuple[Tensor, Tensor]:
    """The first samples of the training part, again and again if it is smaller: inputs and labels or targets."""
    assert data.train_set is not None, "call setup() first"
    inputs, targets = data.train_set.tensors
    rows = torch.arange(size) % len(inputs)
    return inputs[rows], targets[rows]
