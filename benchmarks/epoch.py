"""Time of a training epoch: a raw loop, bare Lightning, and lit_dl with its diagnostics off, basic and full.

    python benchmarks/epoch.py [--data mnist|digits] [--rounds 7]

The MLP 784-200-200-10 with fused Adam on batches of 64. They take turns in one process, and the medians are printed
with their ratios to the raw loop, since single timings on a shared machine say little. lit_dl's rows have everything a
run has: metrics, TensorBoard, checkpoints; the validation is left out as in the other two. The last two log each step.
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.nn.functional import cross_entropy

from lit_dl.callbacks.progress import EpochProgress
from lit_dl.console import console
from lit_dl.data import MNIST, Digits
from lit_dl.data.base import InMemoryData
from lit_dl.diagnostics import GradientMonitor
from lit_dl.models import MLP
from lit_dl.tasks.supervised import Classifier


class Bare(LightningModule):
    """The least that Lightning can train."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch, batch_idx):
        inputs, labels = batch
        return cross_entropy(self.network(inputs), labels)

    def configure_optimizers(self):
        return adam(self.parameters())


class EpochTimer(Callback):
    """Seconds from the start of an epoch to its end."""

    def on_train_epoch_start(self, trainer, pl_module):
        self.begun = time.perf_counter()

    def on_train_epoch_end(self, trainer, pl_module):
        self.seconds = time.perf_counter() - self.begun


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, fused=True)


def raw(data: InMemoryData, folder: Path) -> float:
    network = MLP(data.in_shape, data.out_features).train()
    optimizer = adam(network.parameters())
    begun = time.perf_counter()
    for inputs, labels in data.train_dataloader():
        optimizer.zero_grad()
        cross_entropy(network(inputs), labels).backward()
        optimizer.step()
    return time.perf_counter() - begun


def bare(data: InMemoryData, folder: Path) -> float:
    return _fit(Bare(MLP(data.in_shape, data.out_features)), data, [], False)


def diagnostics_off(data: InMemoryData, folder: Path) -> float:
    return _lit_dl(data, folder, [])


def diagnostics_basic(data: InMemoryData, folder: Path) -> float:
    return _lit_dl(data, folder, [GradientMonitor()])


def diagnostics_full(data: InMemoryData, folder: Path) -> float:
    return _lit_dl(data, folder, [GradientMonitor(every_step=True, histograms=True)])


def off_logging_each_step(data: InMemoryData, folder: Path) -> float:
    return _lit_dl(data, folder, [], every=1)


def basic_logging_each_step(data: InMemoryData, folder: Path) -> float:
    return _lit_dl(data, folder, [GradientMonitor()], every=1)


def _lit_dl(data: InMemoryData, folder: Path, callbacks: list[Callback], every: int = 20) -> float:
    task = Classifier(MLP(data.in_shape, data.out_features), adam)
    callbacks = [*callbacks, EpochProgress(), ModelCheckpoint(folder, filename="best", save_last=True)]
    return _fit(task, data, callbacks, TensorBoardLogger(folder, "", ""), every)


def _fit(task: LightningModule, data: InMemoryData, callbacks: list[Callback], logger, every: int = 20) -> float:
    timer = EpochTimer()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=logger,
        callbacks=[*callbacks, timer],
        limit_val_batches=0,
        log_every_n_steps=every,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=bool(logger),
    )
    trainer.fit(task, data)
    return timer.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["mnist", "digits"], default="mnist")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    console.quiet = True
    data = Digits() if options.data == "digits" else MNIST(os.environ.get("LIT_DL_DATA_DIR", "data"))
    data.prepare_data()
    data.setup()
    programs: list[Callable[[InMemoryData, Path], float]] = [
        raw,
        bare,
        diagnostics_off,
        diagnostics_basic,
        diagnostics_full,
        off_logging_each_step,
        basic_logging_each_step,
    ]
    seconds: dict[str, list[float]] = {program.__name__: [] for program in programs}
    for round_number in range(options.rounds + 1):
        for program in programs:
            seed_everything(0, verbose=False)
            with tempfile.TemporaryDirectory() as folder:
                one = program(data, Path(folder))
            if round_number > 0:  # the first warms up
                seconds[program.__name__].append(one)
    base = statistics.median(seconds["raw"])
    samples, threads = data.sizes()["train"], torch.get_num_threads()
    print(f"{options.data}, {samples:,} samples, {threads} threads, torch {torch.__version__}")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        spread = f"{min(taken):.3f} to {max(taken):.3f}"
        print(f"{name:<24} {middle:7.3f} s   {middle / base:5.2f} x raw   ({spread})")


if __name__ == "__main__":
    main()
