"""A point on a surface, as a network that takes nothing in."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lit_dl.descent.surfaces import SURFACES
from lit_dl.errors import check_choice, is_number


class Point(nn.Module):
    """f(x, y), with the position (x, y) as its one parameter, (2,) float32.

    Args:
        in_shape: of a sample; () since there are none.
        out_features: 0, for the same reason.
        surface: the name of f among ``lit_dl.descent.surfaces.SURFACES``.
        start: where the point is at first.
        activation: what all networks are given; a point has no use for one.

    Shapes: whatever comes in is ignored; f is ().

    Raises:
        ValueError: for data with samples, a surface that is unknown, or a start that is not two finite numbers.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        surface: str = "himmelblau",
        start: Sequence[float] = (0.0, 0.0),
        activation: object = None,
    ) -> None:
        super().__init__()
        check_choice("surface", surface, SURFACES)
        if len(in_shape) > 0 or out_features > 0:
            raise ValueError(f"a point on {surface} learns from no samples. Add data=none, or take model=mlp")
        self.surface = surface
        self.position = nn.Parameter(torch.tensor(_pair(start), dtype=torch.float32))

    def forward(self, *_: object) -> Tensor:
        """F where the point is, ()."""
        f: Tensor = SURFACES[self.surface].f(*self.position.unbind())
        return f


def _pair(start: Sequence[float]) -> list[float]:
    numbers = list(start) if isinstance(start, Sequence) and not isinstance(start, str) else []
    if len(numbers) != 2 or not all(map(is_number, numbers)):
        raise ValueError(f"start is {start!r}; it must be two finite numbers, such as [-4,0]")
    return [float(number) for number in numbers]
