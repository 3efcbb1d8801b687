"""The pictures say what the numbers say."""

import torch

from lit_dl.diagnostics.figures import confusion_matrix


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
