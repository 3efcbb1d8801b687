"""The pictures of filters and feature maps show the numbers that they are of."""

import math

import numpy as np
import pytest
import torch

from lit_dl.plots.feature_maps import feature_maps, filters


def values(axes) -> np.ndarray:
    """What a picture of one channel was drawn from, gaps as NaN."""
    return np.ma.filled(axes.images[0].get_array().astype(float), np.nan)


def test_filters_are_drawn_row_by_row_on_one_symmetric_scale():
    before, after = torch.randn(5, 1, 3, 3), 4 * torch.randn(5, 1, 3, 3)
    figure = filters({"step 0": before, "step 90": after})
    first, second, scale = figure.axes
    most = max(before.abs().max(), after.abs().max()).item()
    for axes, weight in ((first, before), (second, after)):
        assert axes.images[0].get_clim() == pytest.approx((-most, most))
        picture = values(axes)  # 3 columns and 2 rows of 3x3, with gaps of 1 around each
        assert picture.shape == (2 * 4 + 1, 3 * 4 + 1)
        assert np.isnan(picture[::4]).all()
        for number in range(5):
            row, column = 1 + 4 * (number // 3), 1 + 4 * (number % 3)
            assert np.allclose(picture[row : row + 3, column : column + 3], weight[number, 0])
    assert (first.get_title(), second.get_title()) == ("step 0", "step 90")
    assert scale.get_ylabel() == "weight"


def test_filters_of_three_channels_are_colours_in_which_grey_is_zero():
    weight = torch.zeros(1, 3, 2, 2)
    weight[0, 0, 0, 0] = 0.5  # red
    weight[0, 2, 1, 1] = -0.25  # less blue
    colours = filters({"now": weight}).axes[0].images[0].get_array()
    assert colours[1, 1].tolist() == [1.0, 0.5, 0.5, 1.0]
    assert colours[2, 2].tolist() == [0.5, 0.5, 0.25, 1.0]
    assert colours[0, 0].tolist()[3] == 0.0  # a gap


def test_filters_of_other_numbers_of_channels_have_a_row_each():
    weight = torch.randn(3, 2, 3, 3)
    picture = values(filters({"now": weight}).axes[0])
    assert picture.shape == (3 * 4 + 1, 2 * 4 + 1)
    assert np.allclose(picture[5:8, 5:8], weight[1, 1])


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_weights_of_a_diverged_training_are_drawn_too(value):
    filters({"now": torch.full((2, 1, 3, 3), value)}).canvas.draw()


def test_feature_maps_stand_beside_their_image_and_only_the_first_16_channels_are_drawn():
    image, wide = torch.rand(1, 6, 6), torch.randn(20, 2, 2)
    figure = feature_maps(image, {"01_conv2d": torch.randn(4, 6, 6), "02_conv2d": wide})
    source, first, second = figure.axes
    low, high = image.min(), image.max()
    assert np.allclose(values(source), (image[0] - low) / (high - low))
    assert source.get_title() == "input: 6x6"
    assert first.get_title() == "01_conv2d: 4 maps of 6x6"
    assert second.get_title() == "02_conv2d: 16 of 20 maps of 2x2"
    most = wide[:16].abs().max().item()
    assert second.images[0].get_clim() == pytest.approx((-most, most))
    assert np.allclose(values(second)[10:12, 10:12], wide[15])
