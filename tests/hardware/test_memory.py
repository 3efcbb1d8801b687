"""Memory is what the formulas for a perceptron say, and what training holds is linear in depth and batch size."""

import pytest
import torch
from torch import nn

from lit_dl.data import Digits
from lit_dl.hardware.memory import MIB, fit_line, measure
from lit_dl.hardware.tracking import LiveBytes, saved_bytes
from lit_dl.models import MLP
from lit_dl.tasks.supervised import Classifier

CPU = torch.device("cpu")
FLOAT, LABEL = 4, 8  # bytes


@pytest.fixture(scope="module")
def digits() -> Digits:
    data = Digits()
    data.setup()
    return data


def measured(data, depth: int, samples: int, width: int = 32, activation=nn.ReLU):
    network = MLP(data.in_shape, data.out_features, [width] * depth, activation)
    return measure(Classifier(network, torch.optim.SGD), network, data, samples, CPU)


# ReLU keeps its output, which the next layer keeps as its input: one a layer. GELU keeps its own input besides.
@pytest.mark.parametrize(("activation", "kept"), [(nn.ReLU, 1), (nn.Tanh, 1), (nn.GELU, 2)])
@pytest.mark.parametrize(("depth", "samples", "width"), [(1, 10, 32), (5, 100, 32), (3, 7, 64)])
def test_what_is_kept_for_the_backward_pass_is_each_layers_activations(digits, activation, kept, depth, samples, width):
    found = measured(digits, depth, samples, width, activation).saved
    logarithms, weight_of_the_mean = FLOAT * samples * digits.num_classes, FLOAT  # kept by the cross-entropy
    assert found == FLOAT * samples * width * depth * kept + logarithms + weight_of_the_mean


@pytest.mark.parametrize("depth", [2, 9])
def test_prediction_holds_two_layers_at_a_time_whatever_the_depth(digits, depth):
    assert measured(digits, depth, samples=100, width=32).prediction == 2 * FLOAT * 100 * 32


def test_tensors_count_while_they_live_and_views_of_one_memory_once():
    with LiveBytes([]) as live:
        first = torch.zeros(100)
        view = first.view(10, 10)
        second = first + 1
        assert live.now == 2 * 100 * FLOAT
        del first
        assert live.now == 2 * 100 * FLOAT  # the view holds it
        del view, second
        assert live.now == 0
    assert live.peak == 2 * 100 * FLOAT


def test_what_the_graph_holds_counts_until_the_backward_pass_frees_it():
    weight = torch.ones(50, requires_grad=True)
    with LiveBytes([weight]) as live:
        result = weight.exp()  # its output is kept
        loss = result.sum()
        del result
        assert live.now == 50 * FLOAT + FLOAT
        loss.backward()
        del loss
    assert live.now == 50 * FLOAT  # the gradient
    assert saved_bytes(lambda: weight.exp().sum(), [weight]) == 50 * FLOAT


def test_a_line_is_fitted_and_its_r2_tells_how_well():
    slope, intercept, r2 = fit_line([1, 2, 3], [5, 7, 9])
    assert (slope, intercept, r2) == (pytest.approx(2), pytest.approx(3), pytest.approx(1))
    # y = x^2 at 0, 1, 2: the line 2 x - 1/3 leaves 1/3, -2/3, 1/3, so R^2 = 1 - (6/9) / (26/3)
    assert fit_line([0, 1, 2], [0, 1, 4]).r2 == pytest.approx(1 - (6 / 9) / (26 / 3))


def test_the_experiment_finds_training_linear_and_prediction_the_same_at_every_depth(command):
    result = command("experiment=memory")
    assert result.code == 0, result.err
    metrics = result.record.metrics
    assert result.record.status == "completed"
    for by in ("depth", "batch_size"):
        assert metrics[f"memory/{by}/training_r2"] >= 0.99
    assert len({metrics[f"memory/depth/{depth}/prediction_mib"] for depth in (2, 4, 8, 16, 32)}) == 1
    gradients = 4 * (64 * 128 + 128 + 128 * 10 + 10 + 31 * (128 * 128 + 128)) / MIB  # of 32 hidden layers
    assert metrics["memory/depth/32/training_mib"] >= gradients
    assert metrics["memory/batch_size/2048/prediction_mib"] == pytest.approx(2 * FLOAT * 2048 * 128 / MIB)
    assert (result.folder / "memory.png").is_file()
    assert not (result.folder / "checkpoints").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_on_a_gpu_the_allocator_finds_training_linear_too(command):
    metrics = command("experiment=memory", "hardware.device=cuda", "hardware.width=512").record.metrics
    assert metrics["memory/depth/training_r2"] >= 0.99
    assert metrics["memory/depth/32/training_mib"] > 4 * metrics["memory/depth/32/prediction_mib"]
