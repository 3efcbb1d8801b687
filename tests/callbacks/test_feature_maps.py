"""Filters and feature maps are those of the network, on anybody's module."""

import math
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tests.runs import QUICK, events
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lit_dl.callbacks.feature_maps import FeatureMaps, maps_of


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
