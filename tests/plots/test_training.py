"""The pictures say what the numbers say."""

import matplotlib
import numpy as np
import pytest
import torch

from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.optimizer_steps import StepHistory
from lit_dl.plots.heat_map import COLOUR_MAP, SCALE
from lit_dl.plots.training import GradientFlowImage, confusion_matrix, effective_rates, gradient_flow


def test_the_confusion_matrix_writes_each_count_into_its_cell():
    counts = torch.tensor([[50, 2, 0], [1, 30, 4], [0, 0, 1200]])
    figure = confusion_matrix(counts, ["a", "b", "c"])
    axes = figure.axes[0]
    cells = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "50", (0, 1): "2", (1, 0): "1", (1, 1): "30", (1, 2): "4", (2, 2): "1,200"}
    assert axes.get_title() == "Test set: 1,280 of 1,287 right"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert axes.get_ylabel() == "true class"


def test_colour_is_the_share_of_the_true_class_and_an_absent_class_is_blank():
    figure = confusion_matrix(torch.tensor([[3, 1], [0, 0]]), ["a", "b"])
    assert figure.axes[0].images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]


def two_layers(steps: int) -> History:
    """The first layer's RMS gradient is 1e-6, the last's 1e-2."""
    history = History()
    for step in range(10, steps + 1, 10):
        history.add_layers(step, ["01_linear", "02_linear"], [1e-6, 1e-2])
        history.add_losses(step, [1 / step])
    return history


def test_the_gradient_flow_has_the_loss_above_the_layers_on_one_step_axis():
    figure = gradient_flow(two_layers(200))
    layers, loss, scale = figure.axes
    assert loss.get_xlim() == layers.get_xlim() == (0, 200)
    assert [label.get_text() for label in layers.get_yticklabels()] == ["01_linear", "02_linear"]
    assert layers.images[0].get_array()[:, 0].tolist() == [-6.0, -2.0]
    assert (layers.get_xlabel(), layers.get_ylabel()) == ("step", "layer (input at the bottom)")
    assert (loss.get_ylabel(), scale.get_ylabel()) == ("training loss", "RMS gradient (log scale)")
    assert loss.lines[0].get_ydata().tolist()[:2] == [1 / 10, 1 / 20]


def count(pixels: np.ndarray, power: int) -> int:
    """How many pixels have the colour of an RMS gradient of ten to that power."""
    colour = (np.array(matplotlib.colormaps[COLOUR_MAP](SCALE(power))[:3]) * 255).round()
    return int((np.abs(pixels.astype(float) - colour).max(axis=2) <= 1).sum())


def test_the_image_fills_with_the_steps_done_and_its_frame_stays():
    image = GradientFlowImage(400)
    half = image.draw(two_layers(200)).copy()
    whole = image.draw(two_layers(400)).copy()
    fresh = GradientFlowImage(400).draw(two_layers(400))
    assert half.dtype == np.uint8
    assert half.shape == (420, 560, 3)
    assert (whole == fresh).all()
    for power in (-6, -2):
        assert 1.8 < count(whole, power) / count(half, power) < 2.2
    assert (half[:30] == whole[:30]).all()  # the title


def test_steps_beyond_the_axis_widen_it():
    image = GradientFlowImage(None)
    image.draw(two_layers(200))
    wide = image.draw(two_layers(300)).copy()
    assert (wide == GradientFlowImage(600).draw(two_layers(300))).all()


def test_effective_rates_have_a_line_for_each_layer_beside_the_rate():
    history = StepHistory()
    for step in (1, 5, 10):
        values = {"effective_lr": [0.1 / step, None], "step_rms": [1e-3, 0.0], "step_max": [1e-2, 1e-4]}
        history.add(step, ["01_linear", "02_linear"], values, lr=0.01)
    figure = effective_rates(history)
    top, bottom = figure.axes
    assert [line.get_linestyle() for line in top.lines] == ["-", "-", "--"]
    assert [line.get_linestyle() for line in bottom.lines] == ["-", "-", "--", ":", ":"]
    assert top.lines[0].get_ydata().tolist() == pytest.approx([0.1, 0.02, 0.01])
    assert (top.get_yscale(), bottom.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["01_linear", "02_linear", "learning rate"]
