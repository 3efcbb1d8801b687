"""What is said while a training goes on, against losses taken by hand."""

import re
from functools import partial

import pytest
from lightning.pytorch import Trainer
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from lit_dl.callbacks.progress import EpochProgress
from lit_dl.data import Digits
from lit_dl.models import MLP
from lit_dl.tasks.supervised import Classifier


def lines_of(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("epoch")]


def trained(task: Classifier, data: Digits, **options) -> None:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options = {"accelerator": "cpu", "enable_model_summary": False, **quiet, **options}
    Trainer(callbacks=[EpochProgress()], **options).fit(task, data)


def test_each_epoch_has_a_line_with_its_loss_and_accuracy_and_nothing_for_which_there_is_no_room(capsys):
    task, data = Classifier(MLP((1, 8, 8), 10, []), partial(SGD, lr=0.0)), Digits(batch_size="full")
    trained(task, data, max_epochs=2)
    words = []
    for part, samples in (("train", data.train_set), ("val", data.val_set)):
        inputs, labels = samples.tensors
        outputs = task(inputs)
        accuracy = (outputs.argmax(dim=1) == labels).double().mean().item()
        words.append(f"{part} loss {cross_entropy(outputs, labels).item():.4f} acc {accuracy:.4f}")
    assert lines_of(capsys.readouterr().out) == [f"epoch {epoch}/2   {'   '.join(words)}" for epoch in (1, 2)]
    assert {"val/f1", "val/top5"} <= task.metrics.keys()  # they are measured


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({"max_epochs": 50}, [*range(3, 50, 3), 50]),  # each third, since twenty lines are enough; and the last
        ({"max_epochs": -1, "max_steps": 3}, [1, 2, 3]),
    ],
)
def test_a_long_training_leaves_few_lines_and_always_the_last(capsys, options, epochs):
    task, data = Classifier(MLP((1, 8, 8), 10, []), partial(SGD, lr=0.1)), Digits(batch_size="full", train_size=50)
    trained(task, data, limit_val_batches=0, **options)
    lines = lines_of(capsys.readouterr().out)
    assert [int(re.match(r"epoch +(\d+)", line)[1]) for line in lines] == epochs
    assert len({line.partition("loss")[2] for line in lines}) == len(lines)  # each has its own
