"""The losses of a training's steps, left on the device until they are read."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.transfer import Handle, Transfer

KEPT = ("since_observation", "since_validation", "since_epoch")


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
        self.since_validation: list[float] = []
        self.since_epoch: list[float] = []

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
        for kept in (self.since_observation, self.since_validation, self.since_epoch):
            kept += losses

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on; to be asked for when all losses were read."""
        return {name: list(getattr(self, name)) for name in KEPT}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        for name in KEPT:
            setattr(self, name, list(state[name]))

    def read_now(self, step: int) -> None:
        """Read them by a transfer of their own."""
        transfer = Transfer()
        self.send(transfer)
        transfer.fetch()
        self.read(step)
