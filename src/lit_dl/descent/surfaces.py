"""Functions of two variables to descend. Plain arithmetic: of floats, numpy arrays and torch tensors alike."""

from collections.abc import Callable
from typing import Any, NamedTuple


def himmelblau(x: Any, y: Any) -> Any:
    """F = (x² + y - 11)² + (x + y² - 7)², with four minima (Himmelblau, Applied Nonlinear Programming, 1972)."""
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def rosenbrock(x: Any, y: Any) -> Any:
    """F = (1 - x)² + 100 (y - x²)², a bent valley with a flat floor (Rosenbrock 1960, The Computer Journal 3)."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(x: Any, y: Any) -> Any:
    """F = (1.5 - x + x y)² + (2.25 - x + x y²)² + (2.625 - x + x y³)², flat far out and steep at the corners.

    Beale (1958); as in Moré, Garbow and Hillstrom (1981), Testing Unconstrained Optimization Software.
    """
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def saddle(x: Any, y: Any) -> Any:
    """F = x² + (y² - 1)² / 4 = 1/4 + x² - y²/2 + y⁴/4: a saddle at (0, 0) between two minima.

    The quartic term bounds x² - y²/2 from below, so that descent leaves the saddle for a minimum and not for infinity.
    """
    return x**2 + (y**2 - 1) ** 2 / 4


def valley(x: Any, y: Any) -> Any:
    """F = (x² + 100 y²) / 2, a quadratic of condition number 100 (Boyd and Vandenberghe, Convex Optimization, 9.3.2).

    Gradient descent with the rate that is best in the worst case, 2 / (1 + 100), multiplies x by 99/101 and y by
    -99/101 in each step, and so f by (99/101)² = 0.961, from any start.
    """
    return (x**2 + 100 * y**2) / 2


class Surface(NamedTuple):
    """A function of two variables, and what there is to see of it."""

    f: Callable[[Any, Any], Any]
    formula: str
    minima: tuple[tuple[float, float], ...]  # all of them; f is 0 there
    x_limits: tuple[float, float]  # of the part that is drawn
    y_limits: tuple[float, float]


SURFACES = {
    "himmelblau": Surface(
        himmelblau,
        "(x² + y - 11)² + (x + y² - 7)²",
        (
            (3.0, 2.0),
            (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286170),
            (3.584428340330492, -1.848126526964404),
        ),
        (-6.0, 6.0),
        (-6.0, 6.0),
    ),
    "rosenbrock": Surface(rosenbrock, "(1 - x)² + 100 (y - x²)²", ((1.0, 1.0),), (-2.0, 2.0), (-1.0, 3.0)),
    "beale": Surface(
        beale,
        "(1.5 - x + xy)² + (2.25 - x + xy²)² + (2.625 - x + xy³)²",
        ((3.0, 0.5),),
        (-4.5, 4.5),
        (-4.5, 4.5),
    ),
    "saddle": Surface(saddle, "x² + (y² - 1)² / 4", ((0.0, 1.0), (0.0, -1.0)), (-2.0, 2.0), (-2.0, 2.0)),
    "valley": Surface(valley, "(x² + 100 y²) / 2", ((0.0, 0.0),), (-12.0, 12.0), (-3.0, 3.0)),
}
"""By the names under which ``model=`` has them."""
