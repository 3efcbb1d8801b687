"""The losses of a training's steps, left on the device until they are read."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.transfer import Handle, Transfer

MOST_KEPT = 1024  # numbers, before they are folded


class Mean:
    """The mean of any number of losses, the same as ``statistics.fmean`` of all of them, in bounded memory."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[float] = []  # whose sum is that of all losses, exactly

    def add(self, losses: Iterable[float]) -> None:
        """Take in further losses."""
        before = len(self._kept)
        self._kept += losses
        self.count += len(self._kept) - before
        if len(self._kept) > MOST_KEPT:
            self._kept = _folded(self._kept)

    def value(self) -> float:
        """The mean; there must be a loss."""
        return math.fsum(self._kept) / self.count

    def clear(self) -> None:
        """Begin anew."""
        self.count, self._kept = 0, []

    def state(self) -> tuple[int, list[float]]:
        """Primitives, from which ``load`` goes on."""
        return self.count, list(self._kept)

    def load(self, state: tuple[int, list[float]]) -> None:
        """Go on from what ``state`` gave."""
        self.count, self._kept = state[0], list(state[1])


def _folded(values: list[float]) -> list[float]:
    """A few numbers of the same sum, exactly: the rounded sum, then what rounding left out, and so on."""
    parts: list[float] = []
    while (left := math.fsum([*values, *(-part for part in parts)])) != 0:
        if not math.isfinite(left):
            return [left]
        parts.append(left)
    return parts


class LossBuffer:
    """Keeps the loss of each step for all who ask for it: the history, the rules, validation and epoch.

    Args:
        history: gets each loss that is read.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._coming: Tensor | float | None = None  # of the coming step, summed over accumulated batches
        self._unread: list[Tensor | float] = []  # of the steps since losses were read; on a device, ()
        self._sent: Handle | None = None  # those of the unread that are on a device, while a transfer has them
        self.since_observation: list[float] = []
        self.since_validation, self.since_epoch = Mean(), Mean()

    def add(self, loss: Tensor | float) -> None:
        """Add the loss of a batch, on the device (), to that of the coming step."""
        self._coming = loss if self._coming is None else self._coming + loss

    def end_step(self) -> None:
        """The coming step was made; a step without a loss is left out."""
        if self._coming is not None:
            self._unread.append(self._coming)
            self._coming = None

    def send(self, transfer: Transfer) -> None:
        """Let a transfer take along what is on the device."""
        self._sent = transfer.add([loss for loss in self._unread if isinstance(loss, Tensor)])

    def read(self, step: int) -> None:
        """Take in what the transfer brought.

        Args:
            step: the newest.
        """
        assert self._sent is not None, "call send() first"
        brought = iter(self._sent.values)
        losses = [next(brought) if isinstance(loss, Tensor) else loss for loss in self._unread]
        self._unread, self._sent = [], None
        self._history.add_losses(step - len(losses) + 1, losses)
        self.since_observation += losses
        self.since_validation.add(losses)
        self.since_epoch.add(losses)

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on; to be asked for when all losses were read."""
        means = {"validation": self.since_validation.state(), "epoch": self.since_epoch.state()}
        return {"observation": list(self.since_observation), **means}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.since_observation = list(state["observation"])
        self.since_validation.load(state["validation"])
        self.since_epoch.load(state["epoch"])

    def read_now(self, step: int) -> None:
        """Read them by a transfer of their own."""
        transfer = Transfer()
        self.send(transfer)
        transfer.fetch()
        self.read(step)
