"""What training holds in memory against prediction, by depth and by batch size."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from torch import nn

from lit_dl.console import say
from lit_dl.data.base import InMemoryData
from lit_dl.devices import check_memory, describe_device
from lit_dl.errors import check_count
from lit_dl.hardware.samples import batch_of
from lit_dl.hardware.tracking import peak_bytes, saved_bytes
from lit_dl.models import MLP
from lit_dl.tasks.supervised import Classifier

MIB = 2**20
MOST_LAYERS = 10_000


class Memory(NamedTuple):
    """Bytes beside parameters and inputs: kept for the backward pass, and the most that each kind of pass holds."""

    saved: int
    training: int  # forward and backward pass, gradients of the parameters included
    prediction: int  # forward pass in evaluation mode, without gradients


class Line(NamedTuple):
    """The straight line through some points by least squares, and the share of their variance that it explains."""

    slope: float
    intercept: float
    r2: float


def compare(
    task: Classifier,
    data: InMemoryData,
    folder: Path,
    activation: Callable[[], nn.Module] = nn.ReLU,
    width: int = 128,
    depths: Sequence[int] = (2, 4, 8, 16, 32),
    batch_sizes: Sequence[int] = (128, 256, 512, 1024, 2048),
    depth: int = 8,
    batch_size: int = 512,
    device: str = "cpu",
) -> dict[str, float]:
    """Measure MLPs of equal widths; print tables with the lines that fit, and draw ``memory.png``.

    Args:
        task: gives the objective; it stays as it is.
        data: gives the samples.
        folder: where the picture goes.
        activation: of the hidden layers.
        width: of each hidden layer.
        depths: hidden layers of the networks that are measured with ``batch_size`` samples.
        batch_sizes: samples that are passed through a network with ``depth`` hidden layers.
        device: where; on a CUDA device its allocator counts, elsewhere lit_dl counts tensors.

    Returns:
        By name ``memory/{depth,batch_size}/<number>/{saved,training,prediction}_mib``, and
        ``memory/{depth,batch_size}/{training,prediction}_{r2,mib_each}`` of the lines.

    Raises:
        ValueError: for a size that is not a whole number from 1 up, fewer than three depths or batch sizes, or a device
            that is not there.
    """
    for name, values in (("depths", depths), ("batch_sizes", batch_sizes)):
        for value in values:
            check_count(f"{name}: one", value)
        if len(set(values)) < 3:
            raise ValueError(f"{name} is {list(values)}; it takes three numbers to see whether they lie on a line")
    for name, value in (("width", width), ("depth", depth), ("batch_size", batch_size)):
        check_count(name, value)
    check_count("the largest depth", max(depth, *depths), most=MOST_LAYERS)
    size = 8 * (max(depth, *depths) * width**2 + max(batch_size, *batch_sizes) * (width + math.prod(data.in_shape)))
    check_memory("networks and batches of these sizes", size, "Take less")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}; it must be cpu or cuda") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, but torch finds no such device on this machine")

    def measured(hidden: int, samples: int) -> Memory:
        network = MLP(data.in_shape, data.out_features, [width] * hidden, activation)
        return measure(task, network, data, samples, place)

    by = {
        "depth": {hidden: measured(hidden, batch_size) for hidden in sorted(depths)},
        "batch_size": {samples: measured(depth, samples) for samples in sorted(batch_sizes)},
    }
    say(f"MLPs of {width:,} units a layer on {describe_device(place)}; MiB beside parameters and inputs")
    for name, head in (
        ("depth", f"depth, at batch size {batch_size:,}"),
        ("batch_size", f"batch size, at depth {depth}"),
    ):
        say("")
        say(_table(head, by[name]))
        for line in conclusion(name.replace("_", " "), by[name]):
            say(line)
    draw(by["depth"], by["batch_size"], depth, batch_size).savefig(folder / "memory.png")
    return _metrics(by)


def measure(task: Classifier, network: nn.Module, data: InMemoryData, samples: int, device: torch.device) -> Memory:
    """What a training step and a prediction with so many samples hold when ``network`` is the task's."""
    copy = deepcopy(task)
    copy.network = network
    copy.to(device)
    inputs, targets = (part.to(device) for part in batch_of(data, samples))
    existing = [*copy.parameters(), *copy.buffers(), inputs, targets]

    def train() -> None:
        copy.training_step((inputs, targets), 0).backward()  # type: ignore[no-untyped-call]  # torch's

    @torch.inference_mode()
    def predict() -> None:
        copy(inputs)

    saved = saved_bytes(lambda: copy.train().training_step((inputs, targets), 0), existing)
    training = peak_bytes(train, existing, device, copy.zero_grad)
    copy.eval().zero_grad()
    return Memory(saved, training, peak_bytes(predict, existing, device, copy.zero_grad))


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """By least squares; R^2 = 1 - sum of squared residuals / sum of squared deviations, 1 where y is constant."""
    slope, intercept = np.polyfit(x, y, 1)
    residuals = np.square(np.asarray(y) - (slope * np.asarray(x) + intercept)).sum()
    deviations = np.square(np.asarray(y) - np.mean(y)).sum()
    return Line(float(slope), float(intercept), float(1 - residuals / deviations) if deviations > 0 else 1.0)


def conclusion(name: str, by: Mapping[int, Memory]) -> list[str]:
    """How well a line fits training, and how prediction grows from the least to the greatest number."""
    line = _line(by, "training")
    first, last = by[min(by)], by[max(by)]
    training, prediction = (last.training / first.training, last.prediction / first.prediction)
    return [
        f"training: {line.slope / MIB:.4g} MiB for each more, a line with R² = {line.r2:.4f}",
        f"{max(by) / min(by):g} times the {name}: training {training:.3g} times, prediction {prediction:.3g} times",
    ]


def draw(by_depth: Mapping[int, Memory], by_batch: Mapping[int, Memory], depth: int, batch_size: int) -> Figure:
    """Training and prediction against depth, and against batch size, with the lines that fit training."""
    figure = Figure(figsize=(9.6, 4.4), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, by_depth, f"By depth, at batch size {batch_size:,}", "hidden layers")
    _panel(right, by_batch, f"By batch size, at depth {depth}", "samples in a batch")
    return figure


def _panel(axes: Axes, by: Mapping[int, Memory], title: str, x: str) -> None:
    line, numbers = _line(by, "training"), list(by)
    for field, style in (("training", "o"), ("saved", "s--"), ("prediction", "^-")):
        label = "kept for the backward pass" if field == "saved" else field
        axes.plot(numbers, [getattr(memory, field) / MIB for memory in by.values()], style, label=label)
    fitted = [(line.slope * number + line.intercept) / MIB for number in numbers]
    axes.plot(numbers, fitted, color="tab:blue", linewidth=1, label=f"line, R² = {line.r2:.4f}")
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers], rotation=45 if max(numbers) > 99 else 0)
    axes.set(title=title, xlabel=x, ylabel="memory (MiB)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _line(by: Mapping[int, Memory], field: str) -> Line:
    return fit_line(list(by), [getattr(memory, field) for memory in by.values()])


def _table(head: str, by: Mapping[int, Memory]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in (head, "kept for backward", "training", "prediction", "ratio"):
        table.add_column(column, justify="right")
    for number, memory in by.items():
        sizes = [f"{size / MIB:,.2f}" for size in memory]
        table.add_row(f"{number:,}", *sizes, f"{memory.training / memory.prediction:.1f}")
    return table


def _metrics(by: Mapping[str, Mapping[int, Memory]]) -> dict[str, float]:
    metrics = {}
    for name, memories in by.items():
        for number, memory in memories.items():
            for field, size in memory._asdict().items():
                metrics[f"memory/{name}/{number}/{field}_mib"] = size / MIB
        for field in ("training", "prediction"):
            line = _line(memories, field)
            metrics[f"memory/{name}/{field}_r2"] = line.r2
            metrics[f"memory/{name}/{field}_mib_each"] = line.slope / MIB
    return metrics
