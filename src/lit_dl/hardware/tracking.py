"""Bytes that a computation holds, counted as torch's operations make and free tensors; the same on every machine."""

import weakref
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from lit_dl.lightning_seams import TorchDispatchMode, tree_leaves


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # so torch has it
    """Counts the bytes of tensors that come to be while it is entered, for as long as they live.

    Each operation's outputs are looked at, in the backward pass too; memory that two tensors share counts once, and
    memory that was there before (parameters, inputs) not at all. What an operation takes and gives back inside itself
    is not seen, nor what an allocator rounds up.

    Args:
        existing: tensors whose memory does not count.
    """

    def __init__(self, existing: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # so torch has it
        self.now = 0  # bytes
        self.peak = 0
        self._known = {_address(tensor) for tensor in existing}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, and count what it gives."""
        outputs = function(*args, **(kwargs or {}))
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor):
                self._add(output)
        return outputs

    def _add(self, tensor: Tensor) -> None:
        storage, address = tensor.untyped_storage(), _address(tensor)
        if storage.nbytes() == 0 or address in self._known:
            return
        self._known.add(address)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, address, storage.nbytes())

    def _free(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.now -= size


def peak_bytes(
    call: Callable[[], object], existing: Iterable[Tensor], device: torch.device, clear: Callable[[], object]
) -> int:
    """The most bytes that ``call`` holds at a time beyond what was there before.

    On a CUDA device as the allocator counts them, temporary memory of its libraries included; elsewhere by LiveBytes.

    Args:
        call: what is measured.
        existing: parameters and inputs.
        clear: frees what ``call`` leaves behind, such as gradients; called before it.
    """
    if device.type == "cuda":
        call()  # libraries take their workspace once
        clear()
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    clear()
    with LiveBytes(existing) as live:
        call()
    return live.peak


def saved_bytes(forward: Callable[[], object], parameters: Iterable[Tensor]) -> int:
    """Bytes that autograd keeps after ``forward`` for the backward pass, beside the parameters.

    Args:
        forward: gives the loss, which holds what was saved.
    """
    sizes: dict[int, int] = {}
    own = {_address(parameter) for parameter in parameters}

    def pack(tensor: Tensor) -> Tensor:
        if _address(tensor) not in own:
            sizes[_address(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()  # kept until the end, or an address could come twice
    with nullcontext(loss):
        return sum(sizes.values())


def _address(tensor: Tensor) -> int:
    """Of its memory; views of one memory have the same."""
    return tensor.untyped_storage().data_ptr()
