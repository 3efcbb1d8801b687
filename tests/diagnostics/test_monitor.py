"""The monitor on modules that lit_dl never saw, against gradients taken by hand."""

import math
import re

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.plugins import MixedPrecision
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from torch import nn
from torch.utils.data import DataLoader

from lit_dl.diagnostics import GradientMonitor
from lit_dl.models import MLP

BATCHES = [(torch.randn(8, 4, generator=torch.Generator().manual_seed(i)), torch.arange(8) % 3) for i in range(6)]


class Stranger(LightningModule):
    """A module of somebody else's."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.net = MLP((4,), 3, [5])
        self.fused = fused

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0, fused=self.fused)  # the weights stay, so norms are known

    def train_dataloader(self):
        return DataLoader(BATCHES, batch_size=None)


class Notebook(DummyLogger):
    """Keeps what was logged: values by tag and step."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, dict[int, float]] = {}

    def log_metrics(self, metrics, step=None):
        for tag, value in metrics.items():
            self.values.setdefault(tag, {})[step] = value


def monitored(module: LightningModule, tmp_path, logger=None, **options) -> dict[str, dict[int, float]]:
    notebook = Notebook()
    defaults = {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 2}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    options = {**defaults, **quiet, "logger": logger or notebook, **options}
    Trainer(callbacks=[GradientMonitor()], default_root_dir=tmp_path, **options).fit(module)
    return notebook.values


def norms_by_hand(module: Stranger, batches) -> tuple[float, float]:
    """Of the two layers, for the mean of the batches' losses."""
    module.zero_grad()
    sum(module.training_step(batch, 0) / len(batches) for batch in batches).backward()
    layers = (module.net[1], module.net[3])
    return tuple(math.sqrt(sum(p.grad.double().square().sum().item() for p in layer.parameters())) for layer in layers)


def test_logged_norms_are_those_of_the_batch_at_the_first_step_and_each_nth(tmp_path):
    seed_everything(0, verbose=False)
    module = Stranger()
    values = monitored(module, tmp_path)
    assert list(values["grad_norm/total"]) == [1, 2, 4, 6]
    for step, total in values["grad_norm/total"].items():
        first, last = norms_by_hand(module, [BATCHES[step - 1]])
        assert values["grad_norm/01_linear"][step] == pytest.approx(first, rel=1e-6)
        assert values["grad_norm/02_linear"][step] == pytest.approx(last, rel=1e-6)
        assert values["grad_rms/01_linear"][step] == pytest.approx(first / math.sqrt(25), rel=1e-6)
        assert values["grad_rms/02_linear"][step] == pytest.approx(last / math.sqrt(18), rel=1e-6)
        assert total == pytest.approx(math.hypot(first, last), rel=1e-6)


def test_norms_are_taken_before_clipping_and_what_it_leaves_stands_beside(tmp_path):
    module = Stranger()
    values = monitored(module, tmp_path, gradient_clip_val=0.01)
    for step, total in values["grad_norm/total"].items():
        assert total == pytest.approx(math.hypot(*norms_by_hand(module, [BATCHES[step - 1]])), rel=1e-6)
        assert total > 0.01
        assert values["grad_norm_clipped/total"][step] == pytest.approx(0.01, rel=1e-4)


def test_without_clipping_nothing_is_said_of_it(tmp_path):
    assert "grad_norm_clipped/total" not in monitored(Stranger(), tmp_path)


def test_accumulated_batches_count_as_one_step(tmp_path):
    module = Stranger()
    values = monitored(module, tmp_path, accumulate_grad_batches=3, log_every_n_steps=1)
    assert list(values["grad_norm/total"]) == [1, 2]
    for step, total in values["grad_norm/total"].items():
        batches = BATCHES[3 * (step - 1) : 3 * step]
        assert total == pytest.approx(math.hypot(*norms_by_hand(module, batches)), rel=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_norms_are_unscaled_under_16_mixed(tmp_path, fused):
    module = Stranger(fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    values = monitored(module, tmp_path, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    for step, total in values["grad_norm/total"].items():
        # float16 has 11 bits: a relative error of 5e-4 in each product
        assert total == pytest.approx(math.hypot(*norms_by_hand(module, [BATCHES[step - 1]])), rel=0.01)


def test_layers_frozen_at_first_are_measured_once_they_train(tmp_path):
    class Thawing(Stranger):
        def on_train_batch_start(self, batch, batch_idx):
            self.net[1].requires_grad_(batch_idx >= 3)

    values = monitored(Thawing(), tmp_path)
    assert list(values["grad_norm/02_linear"]) == [1, 2, 4, 6]
    assert list(values["grad_norm/01_linear"]) == [4, 6]
    for step in (4, 6):
        parts = (values["grad_norm/01_linear"][step], values["grad_norm/02_linear"][step])
        assert values["grad_norm/total"][step] == pytest.approx(math.hypot(*parts), rel=1e-6)


def test_it_works_on_lightnings_own_demo(tmp_path):
    values = monitored(BoringModel(), tmp_path, limit_train_batches=3, limit_val_batches=0)
    assert list(values["grad_norm/01_linear"]) == [1, 2]


def test_one_chart_in_tensorboard_shows_all_layers(tmp_path):
    monitored(Stranger(), tmp_path, logger=TensorBoardLogger(tmp_path, "", "", default_hp_metric=False))
    events = EventAccumulator(str(tmp_path)).Reload()
    layout = events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    charts = [chart for category in Layout.FromString(layout).category for chart in category.chart]
    shown = [{tag for tag in events.Tags()["scalars"] if re.fullmatch(chart.multiline.tag[0], tag)} for chart in charts]
    assert shown == [
        {f"{measure}/{layer}" for layer in ("01_linear", "02_linear")} for measure in ("grad_norm", "grad_rms")
    ]
