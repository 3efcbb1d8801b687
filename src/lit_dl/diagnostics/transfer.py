"""Numbers that are brought from a device together: one wait instead of one each."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class Handle:
    """Some of the scalars of a transfer; ``values`` has them, in their order, once it was fetched."""

    def __init__(self) -> None:
        self.values: list[float] = []


class NamedHandle:
    """Scalars of a transfer by name, once it was fetched."""

    def __init__(self, names: Sequence[str], handle: Handle) -> None:
        self._names = names
        self._handle = handle

    def __getitem__(self, name: str) -> float:
        return self._handle.values[self._names.index(name)]


class Transfer:
    """Collects scalars, all on one device, and fetches them at once.

    Example:
        >>> transfer = Transfer()
        >>> losses, norm = transfer.add([torch.tensor(1.0), torch.tensor(2.0)]), transfer.add([torch.tensor(3.0)])
        >>> transfer.fetch()
        >>> norm.values, losses.values
        ([3.0], [1.0, 2.0])
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Handle, Sequence[Tensor]]] = []

    def add(self, scalars: Sequence[Tensor]) -> Handle:
        """Take scalars () along; the handle gives them back."""
        handle = Handle()
        self._parts.append((handle, scalars))
        return handle

    def add_named(self, scalars: Mapping[str, Tensor]) -> NamedHandle:
        """Take scalars () along by name."""
        return NamedHandle(list(scalars), self.add(list(scalars.values())))

    def fetch(self) -> None:
        """Bring all over. Waits for the device once."""
        scalars = [scalar for _, part in self._parts for scalar in part]
        if scalars and scalars[0].device.type != "cpu":
            numbers = torch.stack([scalar.float() for scalar in scalars]).tolist()
        else:
            numbers = [scalar.item() for scalar in scalars]
        start = 0
        for handle, part in self._parts:
            handle.values = numbers[start : start + len(part)]
            start += len(part)
