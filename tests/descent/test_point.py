import pytest
import torch
from torch import nn

from lit_dl.descent.point import Point
from lit_dl.models import initialize


def test_a_point_gives_f_where_it_is_and_its_gradient():
    point = Point((), 0, "himmelblau", [1, 2])
    f = point()
    f.backward()
    assert f.item() == (1 + 2 - 11) ** 2 + (1 + 4 - 7) ** 2
    # 4x(x² + y - 11) + 2(x + y² - 7), 2(x² + y - 11) + 4y(x + y² - 7)
    assert point.position.grad.tolist() == [4 * -8 + 2 * -2, 2 * -8 + 8 * -2]
    assert point.position.dtype == torch.float32


def test_no_init_moves_it():
    point = Point((), 0, start=[1, 2])
    initialize(point, nn.init.kaiming_normal_)
    assert point.position.tolist() == [1, 2]


@pytest.mark.parametrize("start", [[1], [1, 2, 3], "12", [1, "a"], [1, True], [1, float("nan")], 3])
def test_a_start_is_two_finite_numbers(start):
    with pytest.raises(ValueError, match="two finite numbers"):
        Point((), 0, start=start)


def test_it_learns_from_no_samples():
    with pytest.raises(ValueError, match="data=none"):
        Point((1, 8, 8), 10)
    with pytest.raises(ValueError, match="must be himmelblau, rosenbrock"):
        Point((), 0, "sphere")
