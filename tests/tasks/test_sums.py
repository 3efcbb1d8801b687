"""Sums on the device against sums by hand."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from lit_dl.metrics import metrics_of
from lit_dl.tasks.sums import Sums


def classes(outputs):
    return outputs.argmax(dim=1)


def test_sums_hold_over_many_batches_and_begin_anew():
    accuracy = metrics_of("classes")[:1]
    sums, loss_sum, correct = Sums(accuracy, classes), 0.0, 0
    generator = torch.Generator().manual_seed(0)
    for size in range(1, 3 * Sums.KEPT):
        logits = torch.randn(size, 3, generator=generator)
        labels = torch.randint(3, (size,), generator=generator)
        loss = cross_entropy(logits, labels)
        sums.add(loss, logits, labels)
        loss_sum += loss.item() * size
        correct += int((logits.argmax(1) == labels).sum())
    count = sum(range(1, 3 * Sums.KEPT))
    total = sums.take()
    assert total.tolist() == pytest.approx([loss_sum, count, correct], rel=1e-5)
    assert sums.means(total.numpy()) == pytest.approx({"loss": loss_sum / count, "acc": correct / count}, rel=1e-5)
    assert sums.take() is None
    sums.add(torch.tensor(2.0), torch.eye(3), torch.tensor([0, 1, 0]))
    assert sums.take().tolist() == [6.0, 3, 2]  # the mean loss 2 times 3 samples; two of them right


def test_a_metric_that_says_nothing_of_so_few_outputs_is_left_out():
    for outputs, has_top5 in ((5, False), (6, True)):
        sums = Sums(metrics_of("classes"), classes)
        sums.add(torch.tensor(1.0), torch.eye(outputs), torch.arange(outputs))
        names = sums.means(sums.take().numpy()).keys()
        assert ("top5" in names) == has_top5
        assert {"loss", "acc", "f1"} <= names


def test_nothing_of_a_batch_is_kept_but_what_it_gave():
    outputs = torch.randn(4, 3, requires_grad=True)
    sums = Sums(metrics_of("classes"), classes)
    sums.add(outputs.sum(), outputs, torch.zeros(4, dtype=torch.long))
    assert not sums.take().requires_grad  # or the graph of each batch would be held
