"""The pictures of filters and feature maps show the numbers that they are of, on anybody's module."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from runs import QUICK, events
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lit_dl.diagnostics.feature_maps import FeatureMaps, feature_maps, filters, maps_of


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


class Crossed(nn.Module):
    """Registered in another order than it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.late, self.early = nn.Conv2d(2, 3, 3), nn.Conv2d(1, 2, 3)
        self.norm, self.dropout = nn.BatchNorm2d(2), nn.Dropout(0.9)

    def forward(self, images):
        return self.late(self.dropout(torch.relu(self.norm(self.early(images)))))


def test_maps_are_what_convolutions_give_in_evaluation_in_order_of_use():
    net = Crossed()
    sample = torch.randn(1, 1, 8, 8)
    maps = maps_of(net, sample)
    early = nn.functional.conv2d(sample, net.early.weight, net.early.bias)
    late = nn.functional.conv2d(torch.relu(early / math.sqrt(1 + net.norm.eps)), net.late.weight, net.late.bias)
    assert list(maps) == ["01_conv2d", "03_conv2d"]  # 02 is the norm
    torch.testing.assert_close(maps["01_conv2d"], early[0])
    torch.testing.assert_close(maps["03_conv2d"], late[0])
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())


class Foreign(LightningModule):
    """Knows nothing of lit_dl."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]).flatten(1), batch[1])

    def validation_step(self, batch, batch_idx):
        self(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def train(net: nn.Module, folder: Path, **options) -> FeatureMaps:
    callback = FeatureMaps(folder)
    images = TensorDataset(torch.randn(8, 1, 8, 8), torch.randint(2, (8,)))
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=TensorBoardLogger(folder), callbacks=[callback], log_every_n_steps=1,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(Foreign(net), DataLoader(images, 4), DataLoader(images, 4))
    return callback


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))


def test_it_draws_on_anybodys_module_with_convolutions(tmp_path):
    train(small(), tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"filters.png", "feature_maps.png"}


def test_without_validation_it_draws_the_filters_alone(tmp_path):
    train(small(), tmp_path, limit_val_batches=0)
    assert {path.name for path in tmp_path.glob("*.png")} == {"filters.png"}


def test_without_convolutions_it_draws_nothing(tmp_path):
    train(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), tmp_path)
    assert not list(tmp_path.glob("*.png"))


def test_a_run_with_a_convolutional_net_leaves_both_in_its_folder_and_in_tensorboard(command):
    folder = command(*QUICK, "model=cnn", "model.channels=[4]", "data.train_size=64").folder
    assert {"filters.png", "feature_maps.png"} <= {path.name for path in folder.iterdir()}
    assert {"filters", "feature_maps"} <= set(events(folder).Tags()["images"])


def test_diagnostics_off_draws_neither(command):
    folder = command(*QUICK, "model=cnn", "model.channels=[4]", "data.train_size=64", "diagnostics=off").folder
    assert not {"filters.png", "feature_maps.png"} & {path.name for path in folder.iterdir()}
