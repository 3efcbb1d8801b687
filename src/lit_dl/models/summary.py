"""The layers of a network as a table."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_dl.layers import BATCH_NORMS, DROPOUTS, evaluating, is_activation, looking_at
from lit_dl.models.windows import PIXEL, WINDOWED, Field, Sides, field_after


class Row(NamedTuple):
    """One use of a layer."""

    name: str  # its kind, and for a convolution or pooling its window
    shape: str  # of its output, without the batch
    parameters: int | None  # that no row above has; None where all it has are in rows above
    receptive_field: Sides | None = None  # pixels of the input, height and width, that one output sees


def layer_table(network: nn.Module, in_shape: Sequence[int]) -> list[Row]:
    """The leaves of a network in the order in which a batch passes them, a row for each time that it does.

    A receptive field is given from the first convolution or pooling on: of what passes from one such layer to the next
    through activations, dropout and batch normalisation, and of dense layers after them, which see the whole image. It
    ends at the sides of the image.

    Args:
        in_shape: shape of a sample.
    """
    rows: list[Row] = []
    batch = torch.zeros(2, *in_shape)
    fields = _Fields(batch)
    counted: set[nn.Parameter] = set()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        own = set(module.parameters())
        new = own - counted
        counted.update(new)
        count = None if own and not new else sum(p.numel() for p in new)
        shape = "x".join(str(side) for side in output.shape[1:])
        rows.append(Row(_describe(module), shape, count, fields.pass_on(module, inputs, output)))

    leaves = [module for module in network.modules() if not list(module.children())]
    with evaluating(network), looking_at(leaves, note):
        network(batch)
    return rows


class _Fields:
    """What the tensors of a forward pass see of the input."""

    def __init__(self, batch: Tensor) -> None:
        self._image = (batch.shape[2], batch.shape[3]) if batch.dim() == 4 else None
        # By the tensor's id; the tensor is kept, so that no other gets its id. Each pixel of the batch sees itself.
        self._of: dict[int, tuple[Tensor, Field]] = {id(batch): (batch, PIXEL)}
        self._windows = False  # whether a convolution or pooling has passed

    def pass_on(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Sides | None:
        """What one output of a layer sees; None where that is not known, or no window has passed yet."""
        if self._image is None:
            return None
        if self._windows and isinstance(module, nn.Linear):
            return self._image
        _, field = self._of.get(id(inputs[0]), (None, None)) if inputs else (None, None)
        if field is None or not (isinstance(module, WINDOWED) or _is_pointwise(module)):
            return None
        if isinstance(module, WINDOWED):
            field, self._windows = field_after(module, field), True
        self._of[id(output)] = output, field
        height, width = (min(seen, side) for seen, side in zip(field.size, self._image, strict=True))
        return (height, width) if self._windows else None


def _is_pointwise(module: nn.Module) -> bool:
    """Whether each of its outputs comes of the same pixel alone."""
    mixes = getattr(module, "dim", 1) != 1  # a softmax along a side of the image
    return (is_activation(module) and not mixes) or isinstance(module, (nn.Identity, *BATCH_NORMS, *DROPOUTS))


def _describe(module: nn.Module) -> str:
    """The kind, and for a convolution or pooling its window."""
    name = type(module).__name__
    if isinstance(module, WINDOWED):
        height, width = module.kernel_size if isinstance(module.kernel_size, tuple) else (module.kernel_size,) * 2
        return f"{name} {height}x{width}"
    if isinstance(module, nn.Dropout):
        return f"{name} {module.p:g}"
    return name
