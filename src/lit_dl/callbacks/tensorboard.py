"""What TensorBoard gets: tags, charts, histograms and text."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lit_dl.diagnostics.activations import ActivationStatistics
from lit_dl.layers import Layer
from lit_dl.loggers import boards
from lit_dl.records import Advice, Finding

CHARTS: Mapping[str, Mapping[str, str]] = {
    "gradients": {
        "grad_rms": "RMS gradient of each layer",
        "grad_norm": "gradient norm of each layer",
        "grad_zeros": "share of gradient entries that are 0",
    },
    "weights": {
        "update_ratio": "update ratio: RMS of the step over RMS of the weights",
        "weight_norm": "weight norm of each layer",
    },
    "optimizer": {
        "effective_lr": "effective learning rate of each layer",
        "step_rms": "RMS step of each layer's entries",
        "step_max": "largest step of each layer's entries",
    },
}
"""Titles of charts by tag, in their categories; a measure that is not here gets a chart by its name."""
OF_ACTIVATIONS = {
    "mean": "mean",
    "std": "standard deviation",
    "saturated": "share of saturated outputs",
    "dead": "share of dead units",
}


def charts(measures: Collection[str]) -> dict[str, dict[str, list[Any]]]:
    """The layout of TensorBoard's custom scalars: all layers of a measure in one chart.

    Patterns instead of the layers' names make it the same for every run, so that runs share the charts.

    Args:
        measures: the tags of measures of layers.
    """
    known = {tag for titles in CHARTS.values() for tag in titles}
    titled = {**CHARTS, "other measures": {tag: tag for tag in measures if tag not in known}}
    layout: dict[str, dict[str, list[Any]]] = {
        category: {title: ["Multiline", [rf"{tag}/\d.*"]] for tag, title in titles.items() if tag in measures}
        for category, titles in titled.items()
    }
    layout["activations"] = {title: ["Multiline", [rf"activation/.*/{name}"]] for name, title in OF_ACTIVATIONS.items()}
    return {category: shown for category, shown in layout.items() if shown}


def by_layer(names: Sequence[str], values: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """Values by tag, where there are any."""
    return {
        f"{tag}/{name}": value
        for tag, each in values.items()
        for name, value in zip(names, each, strict=True)
        if value is not None
    }


def by_activation(activations: Sequence[ActivationStatistics]) -> dict[str, float]:
    """Values by tag, where they apply."""
    values = {}
    for name, mean, std, saturated, dead, _ in activations:
        values[f"activation/{name}/mean"] = mean
        values[f"activation/{name}/std"] = std
        if saturated is not None:
            values[f"activation/{name}/saturated"] = saturated
        if dead is not None:
            values[f"activation/{name}/dead"] = dead
    return values


def log_histograms(trainer: Trainer, layers: Sequence[Layer], outputs: Mapping[str, Tensor], step: int) -> None:
    """Log those of each layer's gradient and parameters, and of the activations' outputs by name."""
    values = {f"activation/{name}": output for name, output in outputs.items()}
    for layer in layers:
        parts = [(p.grad, p.detach()) for p in layer.parameters if p.grad is not None]
        if parts:
            values[f"gradient/{layer.name}"] = torch.cat([grad.to_dense().flatten() for grad, _ in parts])
            values[f"weight/{layer.name}"] = torch.cat([weight.flatten() for _, weight in parts])
    for tag, value in values.items():
        finite = value[value.isfinite()].float()
        for board in boards(trainer) if len(finite) else []:
            board.experiment.add_histogram(f"histogram_{tag}", finite, step)


def as_markdown(findings: Sequence[Finding], wording: Callable[[Sequence[Advice]], str]) -> str:
    """For TensorBoard's text tab."""
    if not findings:
        return "Nothing found; too few logged steps, or too little learnt, to call it healthy."
    lines = ["| finding | since step | layers | evidence | try |", "|---|---|---|---|---|"]
    for finding in findings:
        cells = (finding.title, f"{finding.since_step:,}", ", ".join(finding.layers), finding.message)
        lines.append(f"| **{cells[0]}** | {' | '.join(cells[1:])} | `{wording(finding.advice) or ' '}` |")
    return "\n".join(lines)
