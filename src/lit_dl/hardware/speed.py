"""Where an accelerator wins: the same training steps and the same matrix products on each device."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from rich.table import Table

from lit_dl.console import say
from lit_dl.data.base import InMemoryData
from lit_dl.devices import check_memory, describe_device
from lit_dl.errors import check_count
from lit_dl.hardware.samples import batch_of
from lit_dl.hardware.timing import devices, seconds_per_call
from lit_dl.tasks.supervised import Classifier

TOO_SLOW = 1.0  # seconds; what is larger is not tried on that device

Seconds = Mapping[str, Mapping[int, float]]
"""Of a call, by device and size."""


def compare(
    task: Classifier,
    data: InMemoryData,
    folder: Path,
    batch_sizes: Sequence[int] = (64, 512, 4096),
    sizes: Sequence[int] = (64, 128, 256, 512, 1024, 2048, 4096),
) -> dict[str, float]:
    """Time training steps and matrix products on each device of this machine; print a table and draw ``devices.png``.

    A step is what a training does with a batch that lies in the CPU's memory: take it to the device, forward and
    backward pass, optimizer. A product is of two n x n matrices of float32 that lie on the device, 2 n^3 operations.

    Args:
        task: gives the network, which is not compiled here, the objective and the optimizer; it stays as it is.
        data: gives the samples; its own batch size is timed too.
        folder: where the picture goes.
        batch_sizes: of the steps.
        sizes: n of the products.

    Returns:
        By name ``step/<device>/<batch size>/{ms,samples_per_second}``, ``matmul/<device>/<n>/{ms,gflops}``, and
        ``{step,matmul}/<accelerator>/wins_from``, the least size from which on it beats the CPU; a device is cpu,
        cuda:0 and so on.

    Raises:
        ValueError: for a size that is not a whole number from 1 up.
    """
    for name, values in (("batch_sizes", batch_sizes), ("sizes", sizes)):
        for value in values:
            check_count(f"{name}: one", value)
    if not sizes:
        raise ValueError("sizes is []; name at least one")
    size = 4 * max([*(3 * n**2 for n in sizes), *(n * math.prod(data.in_shape) for n in batch_sizes)])
    check_memory("matrices and batches of these sizes", size, "Take smaller ones")
    own = [data.batch_size] if isinstance(data.batch_size, int) else []
    names = {str(device): describe_device(device) for device in devices()}
    steps, products = {}, {}
    for device in devices():
        steps[str(device)] = _grow(partial(_step, task, data, device), [*own, *batch_sizes])
        products[str(device)] = _grow(partial(_product, device), sizes)
    say(_table("batch size", steps, names, "samples/s", lambda size, seconds: size / seconds))
    say("")
    say(_table("matrix n x n", products, names, "GFLOP/s", _gflops))
    say("")
    for line in conclusion(steps, products, names):
        say(line)
    draw(steps, products, names).savefig(folder / "devices.png")
    return _metrics(steps, products)


def wins_from(slow: Mapping[int, float], fast: Mapping[int, float]) -> int | None:
    """The least size from which on the second is always faster; None if it is not so at the largest that both did.

    Args:
        slow, fast: seconds by size.
    """
    found = None
    for size in sorted(set(slow) & set(fast), reverse=True):
        if fast[size] >= slow[size]:
            break
        found = size
    return found


def conclusion(steps: Seconds, products: Seconds, names: Mapping[str, str]) -> list[str]:
    """From which size each accelerator wins, or that there is none."""
    accelerators = [device for device in names if device != "cpu"]
    if not accelerators:
        best = max(_gflops(n, seconds) for n, seconds in products["cpu"].items())
        return [
            "No accelerator here: torch finds the CPU alone, so there is nothing to compare it with.",
            f"Its products come to {best:,.0f} GFLOP/s at best.",
        ]
    lines = []
    for device in accelerators:
        for what, times in (("training step, from batch size", steps), ("matrix product, from n =", products)):
            size = wins_from(times["cpu"], times[device])
            if size is None:
                lines.append(f"{names[device]} does not win a {what.partition(',')[0]} of any size that was tried.")
            else:
                gain = times["cpu"][size] / times[device][size]
                lines.append(f"{names[device]} wins a {what} {size:,} on ({gain:.1f} times as fast there).")
    return lines


def draw(steps: Seconds, products: Seconds, names: Mapping[str, str]) -> Figure:
    """Samples a second by batch size, and time of a product by n, a line for each device."""
    figure = Figure(figsize=(9.6, 4.4), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    rates = {device: {size: size / seconds for size, seconds in times.items()} for device, times in steps.items()}
    _lines(left, rates, names, "Training steps", "batch size", "samples a second")
    milliseconds = {device: {n: 1e3 * seconds for n, seconds in times.items()} for device, times in products.items()}
    _lines(right, milliseconds, names, "Matrix product n x n, float32", "n", "time (ms)")
    return figure


def _lines(axes: Axes, values: Seconds, names: Mapping[str, str], title: str, x: str, y: str) -> None:
    for device, by_size in values.items():
        axes.loglog(list(by_size), list(by_size.values()), "o-", label=names[device])
    everything = [value for by_size in values.values() for value in by_size.values()]
    if max(everything) < 10 * min(everything):  # within one power of ten a scale of them has no marks
        axes.set_yscale("linear")
        axes.set_ylim(0, 1.1 * max(everything))
    sizes = sorted({size for by_size in values.values() for size in by_size})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend()


def _step(task: Classifier, data: InMemoryData, device: torch.device, size: int) -> Callable[[], object]:
    batch = batch_of(data, size)
    copy = deepcopy(task).to(device).train()
    optimizer = copy.optimizer(copy.parameters())

    def step() -> None:
        inputs, targets = (part.to(device) for part in batch)
        optimizer.zero_grad()
        copy.training_step((inputs, targets), 0).backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()

    return step


def _product(device: torch.device, n: int) -> Callable[[], object]:
    a, b, out = (torch.rand(n, n, device=device) for _ in range(3))
    return lambda: torch.mm(a, b, out=out)


def _grow(make: Callable[[int], Callable[[], object]], sizes: Sequence[int]) -> dict[int, float]:
    """Seconds by size, in ascending order, up to the first that is too slow."""
    times: dict[int, float] = {}
    for size in sorted(set(sizes)):
        times[size] = seconds_per_call(make(size))
        if times[size] > TOO_SLOW:
            break
    return times


def _gflops(n: int, seconds: float) -> float:
    return 2 * n**3 / seconds / 1e9


def _table(
    head: str, times: Seconds, names: Mapping[str, str], unit: str, rate: Callable[[int, float], float]
) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(head, justify="right")
    for device in times:
        table.add_column(f"{names[device]}: ms", justify="right")
        table.add_column(unit, justify="right")
    for size in sorted({size for by_size in times.values() for size in by_size}):
        cells = [f"{size:,}"]
        for by_size in times.values():
            taken = by_size.get(size)
            cells += ["", ""] if taken is None else [f"{1e3 * taken:,.3f}", f"{rate(size, taken):,.0f}"]
        table.add_row(*cells)
    return table


def _metrics(steps: Seconds, products: Seconds) -> dict[str, float]:
    metrics = {}
    for what, times in (("step", steps), ("matmul", products)):
        for device, by_size in times.items():
            for size, seconds in by_size.items():
                metrics[f"{what}/{device}/{size}/ms"] = 1e3 * seconds
                rate = ("samples_per_second", size / seconds) if what == "step" else ("gflops", _gflops(size, seconds))
                metrics[f"{what}/{device}/{size}/{rate[0]}"] = rate[1]
            least = wins_from(times["cpu"], by_size)
            if least is not None:
                metrics[f"{what}/{device}/wins_from"] = float(least)
    return metrics
