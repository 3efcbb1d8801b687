"""Steps, losses and metrics against numbers worked out apart from them."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers.logger import DummyLogger
from sklearn.metrics import confusion_matrix, mean_absolute_error, mean_squared_error, r2_score
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, lr_scheduler

from lit_dl.data import Digits, Spiral
from lit_dl.data.base import InMemoryData
from lit_dl.models import MLP
from lit_dl.tasks.base import Task
from lit_dl.tasks.losses import BinaryCrossEntropy, SquaredError
from lit_dl.tasks.supervised import Classifier, Regressor

FROZEN = partial(SGD, lr=0.0)


class Notebook(DummyLogger):
    """Keeps what was logged: values by tag and step."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, dict[int, float]] = {}

    def log_metrics(self, metrics, step=None):
        for tag, value in metrics.items():
            self.values.setdefault(tag, {})[step] = value


def fitted(task: Task, data, **options) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", enable_model_summary=False, **{"max_epochs": 1, **quiet, **options})
    trainer.fit(task, data)
    return trainer


def test_metrics_are_means_over_samples_not_over_batches():
    task = Classifier(MLP((1, 8, 8), 10, [20]), FROZEN)  # the parameters stay, so all batches see the same net
    data = Digits(batch_size=1000)  # a batch of 1,000 and one of 350
    trainer = fitted(task, data)
    trainer.test(task, data, verbose=False)
    for part, samples in (("train", data.train_set), ("val", data.val_set), ("test", data.test_set)):
        inputs, labels = samples.tensors
        logits = task(inputs)
        assert task.metrics[f"{part}/loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-5)
        right = sum(int(row.argmax()) == int(label) for row, label in zip(logits, labels, strict=True))
        assert task.metrics[f"{part}/acc"] == pytest.approx(right / len(labels), abs=1e-9)
    assert task.samples_seen == 1350


def test_a_second_loader_of_a_validation_is_the_training_part_evaluated_like_the_others():
    data = Digits(batch_size=300, shift=1)  # moved in training, so that training saw other images
    task = Classifier(MLP((1, 8, 8), 10, [20], dropout=0.5), FROZEN)
    trainer = fitted(task, data)
    seen = task.metrics["train/loss"]
    trainer.validate(task, dataloaders=data.evaluation_dataloaders(), verbose=False)
    task.eval()
    for part, samples in (("val", data.val_set), ("train_eval", data.train_set)):
        inputs, labels = samples.tensors
        expected = cross_entropy(task(inputs), labels).item()
        assert task.metrics[f"{part}/loss"] == pytest.approx(expected, rel=1e-5)
    assert task.metrics["train/loss"] == seen != pytest.approx(task.metrics["train_eval/loss"], rel=1e-3)


def test_what_is_logged_of_training_is_the_mean_since_the_step_that_was_logged_before():
    data, logger = Digits(batch_size=100, train_size=700), Notebook()
    task = Classifier(MLP((1, 8, 8), 10, [20]), FROZEN)
    fitted(task, data, log_every_n_steps=3, logger=logger)
    batches = list(data.train_dataloader())
    for step, first in ((1, 0), (3, 1), (6, 3)):
        inputs, labels = (torch.cat(parts) for parts in zip(*batches[first:step], strict=True))
        outputs = task(inputs)
        assert logger.values["train/loss"][step] == pytest.approx(cross_entropy(outputs, labels).item(), rel=1e-5)
        right = (outputs.argmax(dim=1) == labels).double().mean().item()
        assert logger.values["train/acc"][step] == pytest.approx(right)
    assert list(logger.values["train/loss"]) == [1, 3, 6]
    assert task.logged["train/loss"] == logger.values["train/loss"][6]


def test_callbacks_find_the_metrics_of_the_epoch():
    task = Classifier(MLP((2,), 3, [5]), FROZEN)
    trainer = fitted(task, Spiral())
    assert {name: pytest.approx(value.item(), rel=1e-6) for name, value in trainer.callback_metrics.items()} == {
        name: task.metrics[name]
        for name in task.metric_names
        if not name.endswith("/top5")  # of three classes
    }


def test_the_confusion_matrix_counts_true_against_predicted():
    task, data = Classifier(MLP((1, 8, 8), 10, [20]), FROZEN), Digits()
    fitted(task, data).test(task, data, verbose=False)
    inputs, labels = data.test_set.tensors
    expected = [[0] * 10 for _ in range(10)]
    for label, row in zip(labels.tolist(), task(inputs), strict=True):
        expected[label][int(row.argmax())] += 1
    assert task.confusion.tolist() == expected


def test_l1_adds_the_absolute_weights_to_the_objective_and_not_to_the_metric():
    torch.manual_seed(0)
    net, data = MLP((2,), 3, [5], norm="batch"), Spiral(batch_size="full")
    task = Classifier(net, FROZEN, l1=0.1)
    fitted(task, data)
    inputs, labels = data.train_set.tensors
    plain = cross_entropy(net.train()(inputs), labels).item()
    penalty = sum(abs(value) for layer in (net[1], net[4]) for value in layer.weight.flatten().tolist())
    assert task.metrics["train/loss"] == pytest.approx(plain, rel=1e-5)
    assert task.training_step((inputs, labels), 0).item() == pytest.approx(plain + 0.1 * penalty, rel=1e-5)


@pytest.mark.parametrize("l1", [-1.0, float("nan"), float("inf")])
def test_an_l1_out_of_range_is_named(l1):
    with pytest.raises(ValueError, match="l1 is"):
        Classifier(MLP((2,), 3), FROZEN, l1=l1)


class Line(InMemoryData):
    """y = (x1 + 2 x2, 3 - x2) and noise."""

    name, in_shape, num_targets = "line", (2,), 2

    def load_pool(self):
        x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
        noise = torch.randn(400, 2, generator=torch.Generator().manual_seed(1))
        return x, torch.stack([x[:, 0] + 2 * x[:, 1], 3 - x[:, 1]], dim=1) + 0.1 * noise

    def load_test(self):
        x, y = self.load_pool()
        return x[:50] + 0.5, y[:50]


def test_the_metrics_of_a_regression_are_those_of_scikit_learn():
    task, data = Regressor(MLP((2,), 2, [20]), FROZEN), Line(batch_size=100)
    trainer = fitted(task, data)
    trainer.test(task, data, verbose=False)
    for part, samples in (("train", data.train_set), ("val", data.val_set), ("test", data.test_set)):
        inputs, targets = samples.tensors
        outputs = task(inputs).detach()
        expected = {
            "loss": mean_squared_error(targets, outputs),
            "mae": mean_absolute_error(targets, outputs),
            "rmse": mean_squared_error(targets, outputs) ** 0.5,  # over both targets
            "r2": r2_score(targets, outputs),
        }
        assert {name: task.metrics[f"{part}/{name}"] for name in expected} == pytest.approx(expected, rel=1e-5)
    names = ("loss", "mae", "rmse", "r2")
    assert task.metric_names == [f"{part}/{name}" for part in ("train", "val") for name in names]


def test_a_linear_regression_finds_the_coefficients():
    torch.manual_seed(0)
    task, data = Regressor(MLP((2,), 2, []), partial(SGD, lr=0.1)), Line(normalize=False)
    fitted(task, data, max_epochs=30)
    inputs, targets = data.train_set.tensors
    design = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    best = torch.linalg.lstsq(design, targets).solution
    assert torch.allclose(task.network[1].weight, best[:2].T, atol=0.02)
    assert torch.allclose(task.network[1].bias, best[2], atol=0.02)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), BinaryCrossEntropy(), SquaredError("sigmoid")])
def test_a_loss_for_classes_is_refused_for_numbers(loss):
    with pytest.raises(ValueError, match="is for classes, but this data set has numbers"):
        Regressor(MLP((2,), 1), FROZEN, loss=loss)


def test_without_a_loss_classes_have_cross_entropy_and_numbers_the_squared_error():
    outputs, labels, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1]), torch.randn(5, 3)
    classifier, regressor = Classifier(MLP((2,), 3), FROZEN), Regressor(MLP((2,), 3), FROZEN)
    assert classifier.loss(outputs, labels).item() == pytest.approx(cross_entropy(outputs, labels).item())
    assert regressor.loss(outputs, targets).item() == pytest.approx(mean_squared_error(targets, outputs), rel=1e-5)


def test_a_net_with_one_output_tells_two_classes_apart():
    task = Classifier(MLP((2,), 1, []), partial(SGD, lr=1.0), loss=BinaryCrossEntropy())
    data = Spiral(classes=2, turns=0.0, noise=0.1, batch_size=64)  # two straight arms, on either side of a line
    trainer = fitted(task, data, max_epochs=20)
    trainer.test(task, data, verbose=False)
    inputs, labels = data.test_set.tensors
    predicted = (torch.sigmoid(task(inputs)) > 0.5).long().flatten()
    assert task.confusion.tolist() == confusion_matrix(labels, predicted).tolist()
    assert task.metrics["test/acc"] == pytest.approx((predicted == labels).float().mean().item())
    assert task.metrics["test/acc"] > 0.99


def test_a_loss_that_is_not_finite_stops_the_training_where_it_was_read():
    task = Classifier(MLP((2,), 3, [5], activation=nn.Identity), partial(SGD, lr=1e30))
    trainer = fitted(task, Spiral(batch_size=64), max_epochs=50, log_every_n_steps=5)
    assert task.diverged_at is not None
    assert task.diverged_at <= 10
    assert trainer.global_step == task.diverged_at


def test_attributes_of_a_module_stay_parameters_and_modules():
    task = Classifier(MLP((2,), 3), FROZEN)
    task.extra = nn.Parameter(torch.ones(2))
    assert "extra" in dict(task.named_parameters())
    task.extra = None
    assert "extra" not in dict(task.named_parameters())
    task.note = "a string"
    task.note = None
    assert task.note is None


def test_the_rate_that_is_logged_is_that_of_the_step():
    logger = Notebook()
    schedule = partial(lr_scheduler.CosineAnnealingLR, eta_min=0.0)
    task = Classifier(MLP((2,), 3), partial(SGD, lr=1.0), schedule)
    fitted(task, Spiral(), max_steps=4, max_epochs=4, limit_val_batches=0, log_every_n_steps=1, logger=logger)
    expected = [1, 0.853553, 0.5, 0.146447]  # (1 + cos(pi t / 4)) / 2
    assert list(logger.values["lr"].values()) == pytest.approx(expected, abs=1e-6)
    assert task.logged["lr"] == task.lr == pytest.approx(expected[-1], abs=1e-6)


def test_one_cycle_runs_over_the_whole_training():
    seed_everything(0, verbose=False)
    one_cycle = partial(lr_scheduler.OneCycleLR, max_lr=0.1)
    task = Classifier(MLP((2,), 3), partial(SGD, lr=0.1), one_cycle)
    trainer = fitted(task, Spiral(batch_size=500), max_epochs=3)
    schedule = trainer.lr_scheduler_configs[0]
    assert schedule.interval == "step"
    assert schedule.scheduler.total_steps == trainer.global_step == 18
