"""Pictures of decision regions show the probabilities that they are of."""

import numpy as np
import pytest

from lit_dl.plots.decision_regions import FAINT, NOWHERE, RegionsImage, class_colours, region_colours


def test_the_colour_is_fainter_the_less_certain_the_class_is_and_grey_where_nothing_is_finite():
    certain, even, broken = region_colours(np.array([[1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3], [np.nan, np.nan, np.nan]]))
    blue = class_colours(3)[0]
    assert even == pytest.approx(255 * (1 - FAINT * (1 - blue)), abs=1)
    assert (certain < even).any()
    assert (broken == NOWHERE).all()


def test_in_the_image_the_plane_lies_as_in_a_plot_and_the_point_where_it_belongs():
    regions = np.zeros((100, 100, 3), dtype=np.uint8)
    regions[:50, :50] = 250  # below, on the left
    image = RegionsImage((0.0, 1.0, 0.0, 1.0), np.array([[0.75, 0.25]]), np.array([0]), 2).draw(regions, "title")
    plane = image[40:340, 82:382]
    assert (plane[290, 10] == 250).all()
    assert (plane[10, 10] == 0).all()
    assert plane[225, 225] == pytest.approx(255 * class_colours(2)[0], abs=2)
