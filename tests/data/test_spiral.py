"""The spiral's formula, point by point."""

import math

import pytest
import torch

from lit_dl.data import Spiral


def test_without_noise_points_lie_where_the_notes_put_them():
    points, labels = Spiral(classes=3, points=5, noise=0.0).load_pool()
    assert points.shape == (15, 2)
    for index, (x, y) in enumerate(points.tolist()):
        c, t = divmod(index, 5)[0], (index % 5) / 4
        first, last = 2 * math.pi * c / 3, 2 * math.pi * (c + 2) / 3
        angle = first + (last - first) * t
        assert (x, y) == pytest.approx((t * math.sin(angle), t * math.cos(angle)), abs=1e-6)
        assert labels[index] == c


def test_the_noise_of_the_angle_has_the_standard_deviation_asked_for():
    noisy, _ = Spiral(points=20000, noise=0.2).load_pool()
    clean, _ = Spiral(points=20000, noise=0.0).load_pool()
    outer = clean.norm(dim=1) > 0.5  # the angle of a point at the centre is not defined
    angle = torch.atan2(noisy[outer, 0], noisy[outer, 1]) - torch.atan2(clean[outer, 0], clean[outer, 1])
    angle = torch.atan2(angle.sin(), angle.cos())
    assert angle.std().item() == pytest.approx(0.2, rel=0.03)  # 30,000 draws: a relative error of 0.004
    assert angle.mean().item() == pytest.approx(0.0, abs=0.006)


def test_turns_sets_how_far_an_arm_winds():
    points, _ = Spiral(classes=2, points=3, noise=0.0, turns=0.5).load_pool()
    assert points[2].tolist() == pytest.approx([math.sin(math.pi), math.cos(math.pi)], abs=1e-6)


def test_the_test_set_is_another_draw_of_the_same_arms():
    data = Spiral()
    (pool, labels), (test, test_labels) = data.load_pool(), data.load_test()
    assert pool.shape == test.shape == (3000, 2)
    assert torch.equal(labels, test_labels)
    assert not (pool[1:] == test[1:]).all(dim=1)[labels[1:] == 0][1:].any()


@pytest.mark.parametrize("wrong", [{"classes": 1}, {"points": 0}, {"noise": -0.1}, {"noise": math.nan}])
def test_an_argument_out_of_range_is_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        Spiral(**wrong)


def test_more_classes_than_can_be_told_apart_are_refused_before_they_are_drawn():
    with pytest.raises(ValueError, match="spiral has 1,000,000,000 classes, at most 2,000 are allowed"):
        Spiral(classes=10**9)
