"""The step that diverged is kept as it was before it, and once."""

import math

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins import MixedPrecision
from tests.callbacks.fragile import STEP, made, trained
from tests.callbacks.strangers import BATCHES
from torch.utils.data import DataLoader, TensorDataset

from lit_dl import GradientMonitor
from lit_dl.callbacks.checkpoints import AtomicCheckpointIO
from lit_dl.crashes.crash import read_crash


def test_a_healthy_run_leaves_none(tmp_path):
    trained(made("nowhere"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_what_is_kept_stood_so_before_the_step(tmp_path, where):
    trained(made(where), tmp_path)
    crash = read_crash(tmp_path)
    found = "loss" if where == "forward" else "gradient"
    assert (crash.step, crash.found, crash.state, crash.state_step, crash.epoch) == (STEP, found, "before", 7, 1)
    assert [step for step, _ in crash.losses] == list(range(1, STEP + 1))
    assert math.isfinite(crash.losses[-1][1]) == (where == "backward")
    assert [step for step, _ in crash.measures] == list(range(1, STEP))
    assert set(crash.measures[-1][1]) >= {"grad_norm/total", "grad_rms/01_linear", "update_ratio/03_linear"}
    assert torch.equal(crash.passes[0].batch[0], BATCHES[1][0])  # the second of the second epoch
    assert crash.passes[0].rows.tolist() == [1]

    healthy = made("nowhere")  # the same training without the fault, up to there
    trainer = trained(healthy, tmp_path / "healthy", max_steps=STEP - 1)
    assert all(torch.equal(crash.parameters[name], p) for name, p in healthy.named_parameters())
    assert all(torch.equal(crash.buffers[name], b) for name, b in healthy.named_buffers())
    state = trainer.optimizers[0].state_dict()["state"]
    assert len(state) == 6
    assert all(torch.equal(crash.optimizers[0]["state"][at]["exp_avg"], state[at]["exp_avg"]) for at in state)


def test_rows_are_those_of_the_batch_and_the_batch_is_as_the_network_saw_it(tmp_path):
    pool = TensorDataset(torch.cat([batch[0] for batch in BATCHES]), torch.arange(48) % 3)
    module = made()
    module.train_dataloader = lambda: DataLoader(pool, batch_size=8)  # in order
    module.on_after_batch_transfer = lambda batch, _: [batch[0] * 2, batch[1]]
    trained(module, tmp_path)
    (kept,) = read_crash(tmp_path).passes
    assert kept.rows.tolist() == list(range(8, 16))
    assert torch.equal(kept.batch[0], pool.tensors[0][8:16] * 2)


def test_of_a_run_that_goes_on_the_first_is_kept(tmp_path):
    trainer = trained(made(), tmp_path, monitor=GradientMonitor(on_divergence="continue"))
    assert trainer.global_step == 24
    assert read_crash(tmp_path).step == STEP


def test_a_resumed_run_leaves_the_one_there_is(tmp_path):
    trainer = trained(made(), tmp_path, monitor=GradientMonitor(on_divergence="continue"), max_epochs=2)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    before = (tmp_path / "crash.pt").read_bytes()
    again = made()
    trained(again, tmp_path, GradientMonitor(on_divergence="continue"), tmp_path / "last.ckpt", max_epochs=4)
    assert again.trainer.global_step == 24
    assert not torch.isfinite(again.net[0].weight).all()  # each loss was one to be kept
    assert (tmp_path / "crash.pt").read_bytes() == before


def test_accumulated_batches_are_all_kept(tmp_path):
    trained(made(), tmp_path, accumulate_grad_batches=3)  # the eighth pass is the second of the third step
    crash = read_crash(tmp_path)
    assert (crash.step, crash.accumulated) == (3, 3)
    assert [each.batch_idx for each in crash.passes] == [0, 1]
    assert crash.losses[0][0] == crash.losses[2][0] == 1


def test_a_loss_that_is_found_late_is_kept_with_what_comes_after_it_and_says_so(tmp_path):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)  # with it nothing is looked at before the step
    plugins = [MixedPrecision("16-mixed", "cpu", scaler)]
    trained(made(), tmp_path, plugins=plugins, log_every_n_steps=5)
    crash = read_crash(tmp_path)
    assert (crash.step, crash.found, crash.state, crash.state_step) == (STEP, "loss", "after", 10)
    assert [each.batch_idx for each in crash.passes] == [1]
    assert torch.equal(crash.passes[0].batch[0], BATCHES[1][0])  # gathered again


def test_without_a_monitor_the_loss_is_looked_at_all_the_same(tmp_path):
    trained(made(), tmp_path, monitor=Callback())
    crash = read_crash(tmp_path)
    assert (crash.step, crash.state, crash.measures) == (STEP, "before", [])


def test_what_cannot_be_written_is_said_and_ends_nothing(tmp_path, monkeypatch, capfd):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", full)
    trainer = trained(made(), tmp_path, monitor=GradientMonitor(on_divergence="continue"))
    assert trainer.global_step == 24
    out = capfd.readouterr().out
    assert "could not be kept" in out
    assert "No space left" in out
