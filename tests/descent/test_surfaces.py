"""Surfaces against autograd and against values that their sources give."""

import numpy as np
import pytest
import torch

from lit_dl.descent.surfaces import SURFACES


def derivatives(name, x, y):
    f = SURFACES[name].f
    at = torch.tensor([x, y], dtype=torch.float64)
    return (
        torch.autograd.functional.jacobian(lambda p: f(*p.unbind()), at),
        torch.autograd.functional.hessian(lambda p: f(*p.unbind()), at),
    )


@pytest.mark.parametrize(
    ("name", "x", "y"), [(name, *at) for name, surface in SURFACES.items() for at in surface.minima]
)
def test_each_minimum_is_one(name, x, y):
    gradient, hessian = derivatives(name, x, y)
    assert SURFACES[name].f(x, y) == pytest.approx(0, abs=1e-20)
    assert gradient.abs().max() < 1e-12
    assert torch.linalg.eigvalsh(hessian).min() > 0
    assert SURFACES[name].x_limits[0] < x < SURFACES[name].x_limits[1]
    assert SURFACES[name].y_limits[0] < y < SURFACES[name].y_limits[1]


# Himmelblau at (0, 0): 11² + 7². Rosenbrock and Beale at the starts of Moré, Garbow and Hillstrom (1981).
@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("himmelblau", (0, 0), 170),
        ("rosenbrock", (-1.2, 1), 24.2),
        ("beale", (1, 1), 14.203125),
        ("saddle", (0, 0), 0.25),
        ("valley", (10, 1), 100),
    ],
)
def test_values_are_those_of_the_sources(name, at, value):
    f = SURFACES[name].f
    assert f(*at) == pytest.approx(value)
    assert f(*(np.float64(v) for v in at)) == pytest.approx(value)
    assert f(*torch.tensor(at, dtype=torch.float64)).item() == pytest.approx(value)


def test_the_saddle_is_one_and_the_valley_is_a_hundred_times_as_steep_across_as_along():
    gradient, hessian = derivatives("saddle", 0.0, 0.0)
    assert gradient.tolist() == [0, 0]
    assert torch.equal(hessian, torch.diag(torch.tensor([2.0, -1.0], dtype=torch.float64)))
    assert torch.linalg.cond(derivatives("valley", 3.0, 2.0)[1]).item() == pytest.approx(100)
