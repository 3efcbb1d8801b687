"""What is kept of a training is whole, finite, and the best."""

import errno
import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from lit_dl import records
from lit_dl.callbacks.checkpoints import AtomicCheckpointIO, BestAndLast


class Scripted(LightningModule):
    """Has the given validation loss in each epoch, and the number of the epoch, from 1 up, as its parameter then."""

    def __init__(self, losses: list[float], spoilt_in: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.losses, self.spoilt_in = losses, spoilt_in

    def training_step(self, batch, batch_idx):
        epoch = self.current_epoch + 1
        self.weight.data.fill_(math.nan if epoch == self.spoilt_in else epoch)
        self.log("train/loss", self.losses[self.current_epoch], on_step=False, on_epoch=True)
        return 0 * self.weight

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.losses[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def epochs_kept(
    folder: Path, module: Scripted, monitor: str = "val/loss", mode: str = "min", ckpt_path: Path | None = None
) -> dict[str, float]:
    """Of which epoch the checkpoints are, by name."""
    folder.mkdir(exist_ok=True)
    loader = DataLoader([torch.zeros(1)], batch_size=None)
    trainer = Trainer(
        accelerator="cpu", max_epochs=len(module.losses), logger=False, callbacks=[BestAndLast(folder, monitor, mode)],
        plugins=[AtomicCheckpointIO()], enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader, loader, ckpt_path=ckpt_path)
    paths = (folder / records.CHECKPOINTS).glob("*.ckpt")
    return {path.name: torch.load(path, weights_only=True)["state_dict"]["weight"].item() for path in paths}


@pytest.mark.parametrize("monitor", ["val/loss", "train/loss"])
@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 1)])
def test_the_best_is_that_of_the_best_metric_and_the_last_that_of_the_last_epoch(tmp_path, monitor, mode, best):
    kept = epochs_kept(tmp_path, Scripted([3.0, 1.0, 2.0]), monitor, mode)
    assert kept == {"best.ckpt": best, "last.ckpt": 3}


@pytest.mark.parametrize("wrong", [math.nan, -math.inf])
def test_a_metric_that_is_not_finite_is_never_the_best(tmp_path, wrong):
    assert epochs_kept(tmp_path, Scripted([3.0, wrong, 2.0, wrong])) == {"best.ckpt": 3, "last.ckpt": 4}
    assert epochs_kept(tmp_path / "none", Scripted([wrong])) == {"last.ckpt": 1}


def test_parameters_that_are_not_finite_never_become_the_last(tmp_path):
    assert epochs_kept(tmp_path, Scripted([1.0, 2.0, 3.0], spoilt_in=3)) == {"best.ckpt": 1, "last.ckpt": 2}


@pytest.mark.parametrize("monitor", ["val/loss", "train/loss"])
def test_parameters_that_are_not_finite_never_become_the_best_whatever_their_metric(tmp_path, monitor):
    kept = epochs_kept(tmp_path, Scripted([3.0, 2.0, 1.0], spoilt_in=3), monitor)
    assert kept == {"best.ckpt": 2, "last.ckpt": 2}


def test_what_a_checkpoint_calls_the_best_is_not_deleted_outside_of_its_folder(tmp_path):
    run, spared = tmp_path / "run", tmp_path / "thesis"
    epochs_kept(run, Scripted([3.0]))
    spared.mkdir()
    (spared / "chapter").touch()
    last = records.last_checkpoint(run)
    checkpoint = torch.load(last, weights_only=True)
    (state,) = (each for name, each in checkpoint["callbacks"].items() if "BestAndLast" in name)
    away = f"{state['dirpath']}/../../{spared.name}"
    state |= {"best_model_path": away, "kth_best_model_path": away, "best_k_models": {away: torch.tensor(3.0)}}
    torch.save(checkpoint, last)
    assert epochs_kept(run, Scripted([3.0, 2.0]), ckpt_path=last) == {"best.ckpt": 2, "last.ckpt": 2}
    assert (spared / "chapter").exists()


def test_the_best_is_remembered_over_a_pause(tmp_path):
    epochs_kept(tmp_path, Scripted([1.0]))
    kept = epochs_kept(tmp_path, Scripted([1.0, 2.0]), ckpt_path=records.last_checkpoint(tmp_path))
    assert kept == {"best.ckpt": 1, "last.ckpt": 2}


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)

    def stop_half_way(self: Path, content: memoryview) -> None:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", stop_half_way)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert set(path.parent.iterdir()) == {path, records.checksum_file(path)}
    assert not records.is_damaged(path)
    monkeypatch.undo()
    AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 2}
    assert not records.is_damaged(path)
