"""The metrics along a training, kept within bounds."""

import itertools

from lit_dl.tasks.curves import MOST_KEPT, Curves


def filled(count: int) -> Curves:
    curves = Curves()
    for step in range(1, count + 1):
        curves.add(step, step / 10, step * 2.0, {"val/acc": step / count})
    return curves


def test_metrics_of_one_step_stand_in_one_point():
    curves = Curves()
    curves.add(5, 1.0, 0.1, {"val/acc": 0.5})
    curves.add(5, 1.0, 0.1, {"train/loss": 2.0})
    curves.add(10, 2.0, 0.2, {"train/loss": 1.0})
    assert curves.columns() == {
        "step": [5, 10], "epoch": [1.0, 2.0], "seconds": [0.1, 0.2], "val/acc": [0.5, None], "train/loss": [2.0, 1.0]
    }  # fmt: skip


def test_long_trainings_keep_few_points_at_equal_distances_and_always_the_newest():
    for count in (MOST_KEPT, MOST_KEPT + 1, 3 * MOST_KEPT + 7, 10 * MOST_KEPT + 3):
        steps = filled(count).columns()["step"]
        assert len(steps) <= MOST_KEPT + 1
        assert steps[-1] == count
        assert len({b - a for a, b in itertools.pairwise(steps[:-1])}) == 1


def test_what_is_loaded_goes_on_as_if_it_had_not_been_stopped():
    whole, first = filled(2 * MOST_KEPT + 9), filled(MOST_KEPT + 3)
    second = Curves()
    second.load(first.state())
    for point in filled(2 * MOST_KEPT + 9).points[-3:]:
        assert point in whole.points
    for curves in (first, second):
        curves.add(10_000, 1.0, 1.0, {"val/acc": 1.0})
    assert second.points == first.points
    assert second.state() == first.state()
