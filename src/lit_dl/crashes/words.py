"""A repeated step in words: the table of its layers, and the sentence that says where it went wrong."""

from collections.abc import Mapping
from typing import Any

import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor

from lit_dl.crashes.crash import Crash, Pass
from lit_dl.crashes.repeat import Extent, Place, Sight, extent_of
from lit_dl.crashes.replay import Replay

LAST_LOSSES = 6  # shown
ROWS_SHOWN = 8  # row numbers of a batch
NAMES_SHOWN = 4  # of parameters
FORWARD = ("inputs", "outputs")
PARTS = ("inputs", "targets")  # of a batch of lit_dl


def table_of(sight: Sight) -> Table:
    """The layers in order of use, with the row marked where the first value that is not finite arises."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("layer", no_wrap=True)
    for title in ("input", "output", "not\nfinite", "gradient:\noutput", "gradient:\nparameters", "not\nfinite"):
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    table.add_column("", no_wrap=True)
    for number, row in enumerate(sight.rows):
        first = sight.first if sight.first is not None and sight.first.row == number else None
        cells = [_size(row.inputs), _size(row.outputs), _share(row.outputs, row.inputs)]
        cells += [_size(row.gradient), _size(row.weights), _share(row.gradient, row.weights)]
        mark = "" if first is None else "<- first"
        table.add_row(*map(Text, (row.name, *cells, mark)), style="bold red" if first else None)
    return table


def where_it_arose(sight: Sight) -> str:
    """One sentence: in what the first value arises that is not finite."""
    if sight.first is None:
        largest = max((row.weights.largest for row in sight.rows if row.weights is not None), default=0.0)
        overflows = torch.tensor(largest, dtype=sight.loss.dtype).square().isinf()
        norm = f", but the norm of its gradient is not: the square of {largest:.3g} overflows" if overflows else ""
        return f"every value of this step is finite here{norm}"
    place = sight.first
    row = sight.rows[place.row]
    what = place.words if row.module is None else f"{place.words} {row.name}"
    between = ""
    if place.part == "inputs" and place.row > 0:
        between = f", by an operation between {sight.rows[place.row - 1].name} and it that is no layer"
    return (
        f"the first value that is not finite arises in {what} ({_direction(place)}){between}: {counted(place.extent)}"
    )


def what_reaches_the_loss(sight: Sight) -> str | None:
    """Where the values arise that spoil the loss, if the first one is made finite again on the way; else None.

    A ReLU makes 0 of -infinity, and a sigmoid 0 or 1 of either.
    """
    if sight.first is None or sight.first.part not in FORWARD:
        return None
    layers = [row for row in sight.rows[sight.first.row :] if row.module is not None]
    cured = [number for number, row in enumerate(layers) if _has_bad(row.inputs) and _is_clean(row.outputs)]
    later = layers[cured[-1] + 1 :] if cured else []
    source = next((row for row in later if _is_clean(row.inputs) and _has_bad(row.outputs)), None)
    if source is None or source.outputs is None:
        return None
    return (
        f"{layers[cured[-1]].name} makes every value finite again; what reaches the loss arises in the output of "
        f"{source.name}: {counted(source.outputs)}"
    )


def _has_bad(extent: Extent | None) -> bool:
    return extent is not None and extent.bad > 0


def _is_clean(extent: Extent | None) -> bool:
    return extent is not None and extent.bad == 0


def counted(extent: Extent) -> str:
    """3 of 6,400 entries."""
    return f"{extent.bad:,} of {extent.entries:,} {'entry' if extent.entries == 1 else 'entries'}"


def of_batch(each: Pass) -> str:
    """How many samples, and which rows of the training part."""
    size = next((len(value) for value in _parts(each.batch).values() if value.dim()), 0)
    samples = f"{size:,} sample{'' if size == 1 else 's'}" if size else "no samples"
    if each.rows is None or not size:
        return samples
    shown = ", ".join(str(row) for row in each.rows[:ROWS_SHOWN].tolist())
    return f"{samples}: rows {shown}" + (", ..." if len(each.rows) > ROWS_SHOWN else "")


def wrong_in_batch(each: Pass) -> str | None:
    """What of a batch is not finite before any layer has seen it; None for nothing."""
    for name, value in _parts(each.batch).items():
        extent = extent_of(value)
        if extent is None or not extent.bad:
            continue
        bad = (~value.isfinite()).reshape(len(value), -1).any(dim=1).nonzero().flatten() if value.dim() else None
        where = (
            ""
            if bad is None or each.rows is None or len(each.rows) != len(value)
            else f" (rows {_listed(each.rows[bad])})"
        )
        return f"the batch's {name} are not finite: {counted(extent)}{where}"
    return None


def wrong_parameters(extents: Mapping[str, Extent], crash: Crash) -> str | None:
    """Which parameters are not finite before the pass; None for none."""
    if not extents:
        return None
    named = ", ".join(f"{name} ({counted(extent)})" for name, extent in list(extents.items())[:NAMES_SHOWN])
    more = len(extents) - NAMES_SHOWN
    named += f", and {more:,} more" if more > 0 else ""
    when = "before this step" if crash.state == "before" else "when they were kept, after this step"
    return f"parameters were not finite {when}: {named}"


def how_alike(crash: Crash, found: Replay) -> str:
    """Whether the loss is the run's, and what is different here if it is not."""
    if found.is_same is None:
        return "that of the run is not known"
    if found.is_same:
        return "the same to the bit"
    other = []
    if found.device.partition(":")[0] != crash.device.partition(":")[0]:
        other.append(f"the run was on {crash.device}, this is {found.device}")
    if torch.__version__ != crash.torch:
        other.append(f"the run had torch {crash.torch}, this is {torch.__version__}")
    if crash.state == "after":
        other.append("the parameters are not those of that step")
    loss = "unknown" if found.made.loss is None else f"{float(found.made.loss):.8g}"
    return f"not the same to the bit; the run's was {loss}" + "".join(f"; {each}" for each in other)


def last_losses(crash: Crash) -> str:
    """The losses of the last steps, the newest last."""
    shown = crash.losses[-LAST_LOSSES:]
    return ", ".join(f"{loss:.4g}" for _, loss in shown) + (f" (step {shown[-1][0]:,})" if shown else "")


def _direction(place: Place) -> str:
    return "forward" if place.part in FORWARD else "backward"


def _size(extent: Extent | None) -> str:
    return "" if extent is None else f"{extent.largest:.3g}" if extent.bad < extent.entries else "none"


def _share(one: Extent | None, other: Extent | None) -> str:
    """The larger share of entries that are not finite."""
    shares = [each.share for each in (one, other) if each is not None]
    if not shares:
        return ""
    share = max(shares)
    if 0.995 <= share < 1:
        return ">99%"  # not all of them
    return "0" if share == 0 else f"{share:.2%}" if share < 0.1 else f"{share:.0%}"


def _parts(batch: Any) -> dict[str, Tensor]:
    """The tensors of a batch by what they are."""
    whole = batch if isinstance(batch, list | tuple) else [batch]
    names = PARTS if len(whole) == len(PARTS) else [f"part {number + 1}" for number in range(len(whole))]
    return {name: value for name, value in zip(names, whole, strict=True) if isinstance(value, Tensor)}


def _listed(rows: Tensor) -> str:
    return ", ".join(map(str, rows[:ROWS_SHOWN].tolist())) + (", ..." if len(rows) > ROWS_SHOWN else "")
