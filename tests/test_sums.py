"""Sums on the device against sums by hand."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from lit_dl.sums import Sums


def right(logits, labels):
    return (logits.argmax(dim=1) == labels).sum().reshape(1)


def test_sums_hold_over_many_batches_and_begin_anew():
    sums, loss_sum, correct = Sums(right, 1), 0.0, 0
    generator = torch.Generator().manual_seed(0)
    for size in range(1, 3 * Sums.KEPT):
        logits = torch.randn(size, 3, generator=generator)
        labels = torch.randint(3, (size,), generator=generator)
        loss = cross_entropy(logits, labels)
        sums.add(loss, logits, labels)
        loss_sum += loss.item() * size
        correct += int((logits.argmax(1) == labels).sum())
    count = sum(range(1, 3 * Sums.KEPT))
    assert sums.take(torch.device("cpu")).tolist() == pytest.approx([loss_sum, count, correct], rel=1e-5)
    assert sums.take(torch.device("cpu")).tolist() == [0, 0, 0]
