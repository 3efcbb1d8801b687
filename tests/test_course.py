"""What the experiments of the course promise, against formulas and independent computations."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lit_dl.data import Digits


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["perceptron", "logistic_regression"])
def test_one_unit_comes_to_the_best_accuracy_that_a_line_can_have(command, experiment):
    accuracy = command(f"experiment={experiment}", "trainer.accelerator=cpu").record.metrics["test/acc"]
    best = math.erf(math.pi / 2 / 0.8 / math.sqrt(2))  # P(|noise| < pi / 2) of a normal one of standard deviation 0.8
    deviation = math.sqrt(best * (1 - best) / 2000)  # of the share of right ones among 2,000 points
    assert accuracy == pytest.approx(best, abs=4 * deviation)


@pytest.mark.slow
def test_softmax_regression_comes_to_the_minimum_that_scikit_learn_finds(command):
    settings = (
        "data=digits", "data.batch_size=full", "model=softmax_regression", "optimizer=momentum", "optimizer.lr=0.1",
        "optimizer.weight_decay=0.01", "trainer.max_epochs=1500", "trainer.check_val_every_n_epoch=1500",
    )  # fmt: skip
    result = command(*settings)
    weights = torch.load(result.folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    found = torch.cat([weights["network.1.weight"], weights["network.1.bias"].unsqueeze(1)], dim=1)
    data = Digits()
    data.setup()
    inputs, labels = data.train_set.tensors
    inputs = torch.cat([inputs.flatten(1), torch.ones(len(inputs), 1)], dim=1)  # weight decay is on the biases too
    # Theirs is the sum of losses + |W|^2 / (2 C), ours their mean + weight_decay / 2 |W|^2: strictly convex.
    theirs = LogisticRegression(C=1 / (0.01 * len(labels)), tol=1e-8, max_iter=1000, fit_intercept=False)
    coefficients = torch.from_numpy(theirs.fit(inputs, labels).coef_)
    assert (found - coefficients).abs().max().item() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "steps"), [("regression", 200), ("regression_batches", 160), ("regression_parallel", 200)]
)
def test_random_targets_are_learnt_by_heart_and_cannot_be_predicted(command, experiment, steps):
    record = command(f"experiment={experiment}", "trainer.accelerator=cpu").record
    assert record.data["train"] == 64
    assert record.steps == steps
    assert record.metrics["train_eval/r2"] > 0.99
    assert record.metrics["test/r2"] < 0.02  # predictions that have nothing to do with the targets are worth 0 at best


@pytest.mark.slow
def test_softmax_regression_of_mnist_is_as_good_as_linear_nets_are_known_to_be(command, mnist_root, monkeypatch):
    monkeypatch.setenv("LIT_DL_DATA_DIR", str(mnist_root))
    record = command("experiment=softmax_regression", "trainer.accelerator=cpu").record
    assert record.metrics["test/acc"] == pytest.approx(0.92, abs=0.01)  # TensorFlow's first tutorial: about 92 %
