"""Names in pictures stand as they read, whatever they are, and of many there are as many as have room."""

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from lit_dl.descent.figures import trajectory_figure
from lit_dl.descent.trajectories import Trajectory
from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.optimizer_steps import StepHistory
from lit_dl.plots.decision_regions import decision_regions
from lit_dl.plots.feature_maps import feature_maps, filters
from lit_dl.plots.labels import as_label
from lit_dl.plots.training import GradientFlowImage, confusion_matrix, effective_rates, gradient_flow

NAMES = ["$x_{y}^$", r"$\frac$", r"a\$b$", "_hidden", "x" * 300, "a\nb", "\u202egnp", "\x1b[0m\x00\ud800"]
READ = [" _hidden" if name == "_hidden" else name for name in NAMES[:4]]  # the first four as they are drawn


def history() -> History:
    made = History()
    made.add_layers(1, NAMES, [1.0] * len(NAMES))
    made.add_losses(1, [1.0])
    return made


def step_history() -> StepHistory:
    made = StepHistory()
    for step in (1, 2):
        made.add(step, NAMES, {key: [1.0] * len(NAMES) for key in ("effective_lr", "step_rms", "step_max")}, lr=0.1)
    return made


PATH = Trajectory("valley", np.arange(3), np.array([3.0, 2, 1]), np.ones(3), np.ones(3))
FIGURES = {
    "confusion matrix": lambda: confusion_matrix(torch.eye(len(NAMES), dtype=torch.long), NAMES),
    "gradient flow": lambda: gradient_flow(history()),
    "effective rates": lambda: effective_rates(step_history()),
    "feature maps": lambda: feature_maps(torch.rand(1, 2, 2), {name: torch.rand(1, 2, 2) for name in NAMES}),
    "filters": lambda: filters({name: torch.rand(1, 1, 2, 2) for name in NAMES}),
    "trajectories": lambda: trajectory_figure(dict.fromkeys(NAMES, PATH)),
}


def texts(figure) -> set[str]:
    """All that stands in a figure, as matplotlib draws it once it took the escapes out."""
    found = [text for text in figure.findobj(Text) if r"\mathdefault" not in text.get_text()]  # ticks of log axes
    assert not any("$" in text.get_text().replace(r"\$", "") for text in found)
    return {text.get_text().replace(r"\$", "$") for text in found}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_a_name_is_drawn_as_it_reads_and_not_as_a_formula(draw):
    figure = draw()
    figure.canvas.draw()  # raises for a formula that is none, and for a lone surrogate
    shown = " ".join(texts(figure))
    for name in READ:
        assert name in shown
    assert "x" * 100 not in shown
    assert r"\x1b[0m\x00\ud800" in shown


def test_the_image_of_a_gradient_flow_has_room_for_a_map_beside_long_names():
    image = GradientFlowImage(10).draw(history())
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100  # the colours of the scale


def test_a_name_of_a_dollar_is_left_alone_once_it_is_drawn():
    assert as_label("5 $ or 6 $") == r"5 \$ or 6 \$"
    assert as_label("plain") == "plain"


@pytest.mark.parametrize("classes", [300, 1000])
def test_of_many_classes_no_count_is_written_and_some_are_named(classes):
    figure = confusion_matrix(torch.eye(classes, dtype=torch.long), [f"class {number}" for number in range(classes)])
    axes = figure.axes[0]
    assert len(axes.texts) == 0
    assert 30 <= len(axes.get_xticks()) <= 60
    named = {int(place): text.get_text() for place, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert all(text == f"class {place}" for place, text in named.items())
    assert "(one name in " in axes.get_xlabel()
    assert max(figure.get_size_inches()) < 20


def test_of_many_classes_the_legend_of_decision_regions_has_some_and_says_so():
    points, labels = np.random.default_rng(0).random((600, 2)), np.arange(600) % 300
    figure = decision_regions(np.zeros((2, 2, 3), np.uint8), (0, 1, 0, 1), points, labels, 300, "title")
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [str(number) for number in range(40)]
    assert legend.get_title().get_text() == "class (the first 40 of 300)"
