"""Long trainings and many jobs: memory, threads, open files and files of a run stay bounded."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runs import events

from lit_dl import records
from lit_dl.callbacks.progress import EpochProgress
from lit_dl.diagnostics.history import COLUMNS, History
from lit_dl.diagnostics.losses import MOST_KEPT, LossBuffer
from lit_dl.loggers import PICTURES, spacing
from lit_dl.plots.gif import MOST_FRAMES, Gif
from lit_dl.run.finish import FLOW_COLUMNS
from lit_dl.sweeps.runner import SweepRunner
from lit_dl.tasks.curves import MOST_KEPT as POINTS
from lit_dl.tasks.curves import Curves

LAYERS = [f"{number:02}_linear" for number in range(10)]


def megabytes() -> float:
    """Of this process, in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def held() -> tuple[int, int]:
    """Threads and open files of this process."""
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


in_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self")


def curves_of(epochs: int, history: History) -> records.CurvesRecord:
    curves = Curves()
    for epoch in range(1, epochs + 1):
        curves.add(
            10 * epoch, epoch, 0.1 * epoch, {"train/loss": 1 / epoch, "val/loss": 2 / epoch, "val/acc": 0.123456}
        )
    return records.CurvesRecord(curves.columns(), history.layers, history.coarse(FLOW_COLUMNS), history.steps)


def test_a_hundred_thousand_steps_take_the_memory_and_the_file_of_a_thousand(tmp_path):
    history, sizes = History(), {}
    buffer = LossBuffer(history)
    for step in range(1, 100_001):
        buffer.add(1.0 / step)
        buffer.end_step()
        if step % 50 == 0:  # as log_every_n_steps has it, and nobody validates or ends an epoch
            buffer.read_now(step)
            buffer.since_observation.clear()
            history.add_layers(step, LAYERS, [0.1] * len(LAYERS))
        if step in (1000, 100_000):
            epochs = step // 10
            records.write_curves(curves_of(epochs, history), tmp_path)
            sizes[step] = (tmp_path / records.CURVES_FILE).stat().st_size
            assert len(curves_of(epochs, history).points["step"]) <= POINTS
    assert len(buffer.since_validation._kept) <= MOST_KEPT
    assert len(buffer.since_epoch._kept) <= MOST_KEPT
    assert {np.asarray(rows).shape[-1] for rows in (history.state()["sums"], history.state()["loss"])} <= set(
        range(COLUMNS // 2, COLUMNS + 1)
    )
    values = 4 * FLOW_COLUMNS * len(LAYERS) + 6 * POINTS * 22  # the most that curves.json can have, in characters
    assert sizes[100_000] <= values
    assert sizes[100_000] <= 6 * sizes[1000]  # 100 points grew to 500 at most


def test_a_gif_of_ten_thousand_epochs_has_the_size_of_one_of_a_hundred(tmp_path):
    noise, sizes = np.random.default_rng(0), {}
    gif = Gif()
    for epoch in range(1, 10_001):
        gif.add(noise.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        assert len(gif.frames) <= MOST_FRAMES
        if epoch in (100, 10_000):
            gif.save(tmp_path / "moving.gif")
            sizes[epoch] = (tmp_path / "moving.gif").stat().st_size
    assert sizes[10_000] <= 1.05 * sizes[100]


@pytest.mark.parametrize(("validations", "most"), [(100, 100), (1000, 450), (10_000, 800), (1_000_000, 1500)])
def test_a_long_training_sends_a_few_hundred_pictures(validations, most):
    sent, number = 0, 0
    while number < validations:
        sent += 1
        number += spacing(sent)
    assert PICTURES - 1 <= sent <= most


@pytest.mark.slow
def test_a_long_training_sends_few_pictures_to_tensorboard(command):
    folder = command(
        "data=spiral", "data.batch_size=full", "data.train_size=30", "model.hidden=[4]", "trainer.max_epochs=320",
        "trainer.accelerator=cpu",
    ).folder  # fmt: skip
    images = [image.step for image in events(folder).Images("decision_regions")]
    assert images
    content = b"".join(path.read_bytes() for path in folder.glob("events.out.tfevents.*"))
    sent = content.count(b"\xff\xd8\xff")  # how a JPEG begins
    assert 150 <= sent <= 230  # 100, then every second of 200, then every fourth; all of them would be 320


@pytest.mark.slow
@in_proc
def test_a_training_of_many_steps_keeps_memory_threads_and_open_files(command, monkeypatch):
    seen, at = {}, EpochProgress.on_train_batch_end

    def look(self, trainer, *arguments):
        at(self, trainer, *arguments)
        if trainer.global_step in (5000, 12_000):
            seen[trainer.global_step] = (megabytes(), held())

    monkeypatch.setattr(EpochProgress, "on_train_batch_end", look)
    folder = command(
        "data=spiral", "data.batch_size=1", "data.train_size=200", "model.hidden=[4]", "trainer.max_epochs=-1",
        "trainer.max_steps=12000", "trainer.limit_val_batches=0", "trainer.accelerator=cpu",
    ).folder  # fmt: skip
    (threads, files), (threads_then, files_then) = seen[12_000][1], seen[5000][1]
    assert threads == threads_then
    assert files <= files_then + 2  # TensorBoard opens its file for each write
    assert seen[12_000][0] < seen[5000][0] + 10
    checkpoint = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 12_000
    assert (folder / "checkpoints/last.ckpt").stat().st_size < 500_000
    logged = 12_000 // 50
    board = sum(path.stat().st_size for path in folder.glob("events.out.tfevents.*"))
    assert board < 3000 * logged + 1_000_000  # a record of some 2 KB for each logged step, and pictures


@pytest.mark.slow
@in_proc
def test_many_jobs_in_one_process_keep_memory_threads_and_open_files(command, monkeypatch):
    jobs, seen, look = 300, [], SweepRunner._look

    def looked(self, names):
        look(self, names)
        seen.append((megabytes(), held()))

    monkeypatch.setattr(SweepRunner, "_look", looked)
    cheap = ("data=regression", "data.features=4", "model.hidden=[4]", "loss=mse", "diagnostics=off")
    result = command("-m", *cheap, "trainer.max_steps=1", "trainer.accelerator=cpu", f"seed=range(0,{jobs})")
    assert result.code == 0, result.err
    assert len(seen) == jobs + 1
    assert seen[-1][1] == seen[20][1]
    assert seen[-1][0] < seen[20][0] + 20
