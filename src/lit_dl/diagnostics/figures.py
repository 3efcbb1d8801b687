"""Pictures of what was measured."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor


def confusion_matrix(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """How often each true class was taken for each class.

    Cells show counts; the colour is the share of the true class, so that classes of different size compare.

    Args:
        counts: (C, C), true class by predicted class.
        class_names: the C names.
    """
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    side = max(3.6, 0.4 * len(class_names) + 1.0)
    figure = Figure(figsize=(side + 0.8, side), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares.numpy(), vmin=0, vmax=1, cmap="Blues")
    for row, line in enumerate(counts.tolist()):
        for column, count in enumerate(line):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
    right = counts.diagonal().sum().item()
    axes.set_title(f"Test set: {right:,} of {counts.sum().item():,} right")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_xticks(range(len(class_names)), class_names)
    axes.set_yticks(range(len(class_names)), class_names)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure
