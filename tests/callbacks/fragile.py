"""A module that breaks at a known step in a known layer, and its training under a black box."""

import math
import random

import numpy as np
import torch
from lightning.pytorch import Trainer
from tests.callbacks.strangers import Stranger
from torch import nn

from lit_dl import GradientMonitor
from lit_dl.callbacks.black_box import BlackBox

STEP = 8  # at which it breaks; six batches an epoch


class Breaks(nn.Module):
    """Passes values on; at a known pass a column comes out infinite, or on the way back its gradient does."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, inputs):
        self.calls += 1
        if self.calls != STEP:
            return inputs
        if self.where == "backward":
            between = inputs.clone()
            between.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([2, 3]), math.inf))
            return between.clone()
        return inputs.index_fill(1, torch.tensor([2]), math.inf) if self.where == "forward" else inputs


class Fragile(Stranger):
    """Draws from three sources of random numbers, and breaks in the module after its second layer.

    Args:
        where: ``"forward"``, ``"backward"`` or ``"nowhere"``.
    """

    def __init__(self, where: str = "forward") -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(4, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 5), Breaks(where), nn.Linear(5, 3)
        )
        self.seen: list[torch.Tensor] = []  # by the second layer, in each pass
        self.net[3].register_forward_pre_hook(lambda module, inputs: self.seen.append(inputs[0].detach().clone()))

    def training_step(self, batch, batch_idx):
        noise = torch.tensor([random.random(), *np.random.rand(3)], dtype=torch.float32)
        return nn.functional.cross_entropy(self.net(batch[0] + noise), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


def trained(module, folder, monitor=None, ckpt_path=None, **options) -> Trainer:
    """Train it, each time with the same random numbers."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    options = {"accelerator": "cpu", "max_epochs": 4, "log_every_n_steps": 1, "logger": False, **quiet, **options}
    callbacks = [monitor or GradientMonitor(), BlackBox(folder)]
    trainer = Trainer(callbacks=callbacks, default_root_dir=folder, **options)
    trainer.fit(module, ckpt_path=ckpt_path)
    return trainer


def made(where: str = "forward") -> Fragile:
    """One with the same weights each time."""
    torch.manual_seed(7)
    return Fragile(where)
