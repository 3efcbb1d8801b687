"""What tests of the monitor share: modules that lit_dl never saw, and what is logged of their trainings."""

import math

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from torch import nn
from torch.utils.data import DataLoader

from lit_dl import GradientMonitor
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


class Explosive(Stranger):
    """Loss or gradient are not finite in the second batch of the second epoch, which is the eighth step."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.current_epoch == 1 and batch_idx == 1:
            if self.where == "gradient":
                self.net[1].weight.register_hook(lambda gradient: gradient * math.inf)
            if self.where == "loss":
                loss = loss * math.nan
        return loss


class Adaptive(Stranger):
    """Trained by an optimizer that scales its gradients."""

    def configure_optimizers(self):
        return torch.optim.Adagrad(self.parameters(), lr=0.01)


class Notebook(DummyLogger):
    """Keeps what was logged: values by tag and step."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, dict[int, float]] = {}

    def log_metrics(self, metrics, step=None):
        for tag, value in metrics.items():
            self.values.setdefault(tag, {})[step] = value


def monitored(
    module: LightningModule, tmp_path, logger=None, monitor: GradientMonitor | None = None, ckpt_path=None, **options
) -> dict[str, dict[int, float]]:
    """Train it with a monitor on it; what was logged, by tag and step."""
    notebook = Notebook()
    monitor = monitor or GradientMonitor()
    defaults = {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 2}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    options = {**defaults, **quiet, "logger": logger or notebook, **options}
    Trainer(callbacks=[monitor], default_root_dir=tmp_path, **options).fit(module, ckpt_path=ckpt_path)
    return notebook.values
