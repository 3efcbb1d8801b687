"""``crash.pt``: the step at which a loss or a gradient was first not finite, kept so that it can be repeated.

Only tensors and primitives, so that ``torch.load(weights_only=True)`` reads it, whoever wrote it.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from lit_dl import records
from lit_dl.crashes.random_state import States

SCHEMA = 1
MOST_THREADS = 4096  # that are believed; torch is told to take so many
DAMAGED = (
    RuntimeError,
    OSError,
    EOFError,
    pickle.UnpicklingError,
    BadZipFile,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)


@dataclass
class Pass:
    """One forward pass of the step; with accumulated gradients a step has several."""

    batch_idx: int  # of the epoch, from 0 up
    random: States  # before the pass
    batch: Any = None  # as the network saw it; None where it was no longer to be had
    rows: Tensor | None = None  # row numbers in the training part, (B,), where they can be told
    loss: Tensor | None = None  # the objective, (), over the number of accumulated batches


@dataclass
class Crash:
    """The content of crash.pt."""

    step: int  # the first whose loss or gradient is not finite
    found: Literal["loss", "gradient"]
    state: Literal["before", "after"]  # whether parameters and optimizers are as they were before that step
    state_step: int  # steps of the optimizer that had been made when they were kept
    epoch: int  # from 0 up
    passes: list[Pass] = field(default_factory=list)
    parameters: dict[str, Tensor] = field(default_factory=dict)  # of the LightningModule, by name
    buffers: dict[str, Tensor] = field(default_factory=dict)  # before the newest pass
    optimizers: list[dict[str, Any]] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)  # step and loss of the newest passes
    measures: list[tuple[int, dict[str, float]]] = field(default_factory=list)  # of the logged ones of those steps
    accumulated: int = 1  # batches to a step
    threads: int = 1  # of torch
    device: str = "cpu"
    precision: str = "32-true"
    torch: str = ""  # its version

    def content(self) -> dict[str, Any]:
        """The same as tensors, on the CPU, and primitives."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"schema": SCHEMA, **plain({**own, "passes": [vars(each) for each in self.passes]})}


def read_crash(folder: Path) -> Crash:
    """What a run folder keeps of the step that diverged.

    Raises:
        OSError: if there is no such file, or it cannot be read.
        ValueError: if the file is damaged.
    """
    path = folder / records.CRASH_FILE
    if path.is_file() and records.is_damaged(path):
        raise ValueError(f"{path} is damaged, or was not written by lit_dl")
    stream = BytesIO(path.read_bytes())
    try:
        content = torch.load(stream, weights_only=True, map_location="cpu")
        known = {each.name: content[each.name] for each in fields(Crash) if each.name in content}
        passes = [Pass(**{each.name: one[each.name] for each in fields(Pass)}) for one in known.pop("passes")]
        crash = Crash(**known, passes=passes)
        _check(crash)
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged, or was not written by lit_dl") from error
    return crash


def plain(value: Any) -> Any:
    """The same of tensors on the CPU and primitives; what is neither as it is written."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()  # a view would take all of what it is a view of along
    if isinstance(value, np.ndarray | np.generic):
        return value.item() if value.ndim == 0 else torch.from_numpy(np.array(value))
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool):
        return value
    kind = next((kind for kind in (int, float, str) if isinstance(value, kind)), repr)
    return kind(value)  # not a subclass such as torch's version, which weights_only refuses


def _check(crash: Crash) -> None:
    """Whether the parts that a replay rests on are there.

    Raises:
        TypeError, ValueError: if not.
    """
    counts = (crash.step, crash.state_step, crash.epoch, *(each.batch_idx for each in crash.passes))
    if not all(isinstance(each, int) for each in (*counts, crash.accumulated, crash.threads)):
        raise TypeError("its numbers are none")
    if crash.accumulated < 1 or not 1 <= crash.threads <= MOST_THREADS:
        raise ValueError("its numbers are out of their range")
    if not all(isinstance(each, str) for each in (crash.device, crash.precision, crash.torch)):
        raise TypeError("its names are none")
    named = [*_items(crash.parameters), *_items(crash.buffers)]
    if not all(isinstance(tensor, Tensor) for tensor in named):
        raise TypeError("its parameters are none")
    if not crash.passes or not all(isinstance(each.random["cpu"], Tensor) for each in crash.passes):
        raise TypeError("it has no pass")
    if not all(each.rows is None or (isinstance(each.rows, Tensor) and each.rows.dim() == 1) for each in crash.passes):
        raise TypeError("its rows are none")
    if not isinstance(crash.losses, list) or not all(isinstance(loss, float) for _, loss in crash.losses):
        raise TypeError("its losses are none")


def _items(tensors: Any) -> list[Any]:
    return list(tensors.values())
