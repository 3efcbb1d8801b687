"""A receipt has what the first steps gave, bit for bit."""

import hashlib
import json

import pytest
import torch
from lightning.pytorch import Trainer
from tests.callbacks.strangers import BATCHES, Explosive
from torch import nn

from lit_dl import records
from lit_dl.callbacks.receipt import Receipt

QUIET = {
    "accelerator": "cpu", "max_epochs": 4, "logger": False, "enable_progress_bar": False,
    "enable_model_summary": False, "enable_checkpointing": False,
}  # fmt: skip


def trained(folder, ckpt_path=None, steps=10, seconds=60.0, **options) -> Trainer:
    torch.manual_seed(0)
    record = records.ReceiptRecord({"seed": 0}, ["seed=0"])
    receipt = Receipt(folder, record, lambda: {"name": "batches", "sha256": "-"}, steps=steps, seconds=seconds)
    trainer = Trainer(callbacks=[receipt], default_root_dir=folder, **{**QUIET, **options})
    trainer.fit(Explosive("nowhere"), ckpt_path=ckpt_path)
    return trainer


def by_hand(steps: int) -> list[records.StepReceipt]:
    """The same from a plain loop."""
    torch.manual_seed(0)
    net = Explosive("nowhere").net
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    found = []
    for step in range(steps):
        inputs, labels = BATCHES[step % len(BATCHES)]
        loss = nn.functional.cross_entropy(net(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        own = {"01_linear": net[1], "02_linear": net[3]}
        sums = {
            name: hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in layer.parameters())).hexdigest()
            for name, layer in own.items()
        }
        found.append(records.StepReceipt([loss.item().hex()], sums))
    return found


def test_losses_and_checksums_are_those_of_a_plain_loop(tmp_path):
    trained(tmp_path)
    receipt = records.read_receipt(tmp_path)
    assert receipt.steps == by_hand(10)
    assert (receipt.config, receipt.overrides, receipt.threads) == ({"seed": 0}, ["seed=0"], torch.get_num_threads())
    assert receipt.environment["device"] == "cpu"
    assert receipt.data == {"name": "batches", "sha256": "-"}


@pytest.mark.parametrize(("options", "count"), [({"max_steps": 3}, 3), ({"seconds": 0.0}, 1), ({"steps": 2}, 2)])
def test_a_short_run_or_a_large_net_has_fewer_steps(tmp_path, options, count):
    trained(tmp_path, **options)
    assert records.read_receipt(tmp_path).steps == by_hand(count)


def test_each_batch_of_an_accumulated_step_has_its_loss(tmp_path):
    trained(tmp_path, accumulate_grad_batches=3)
    steps = records.read_receipt(tmp_path).steps
    assert [len(step.losses) for step in steps] == [3] * 8
    assert float.fromhex(steps[0].losses[0]) == pytest.approx(float.fromhex(by_hand(1)[0].losses[0]) / 3)


def test_it_is_there_from_the_first_step_on_so_that_a_killed_run_has_it(tmp_path):
    seen = []

    class Killed(Explosive):
        def on_train_batch_start(self, batch, batch_idx):
            is_there = (tmp_path / records.RECEIPT_FILE).exists()
            seen.append(len(records.read_receipt(tmp_path).steps) if is_there else 0)

    receipt = Receipt(tmp_path, records.ReceiptRecord({"seed": 0}), dict)
    Trainer(callbacks=[receipt], **{**QUIET, "max_steps": 12}).fit(Killed("nowhere"))
    assert seen == [0, *[1] * 9, 10, 10]


def test_what_ends_with_an_error_has_the_steps_until_then(tmp_path):
    class Failing(Explosive):
        def on_train_batch_start(self, batch, batch_idx):
            if batch_idx == 4:
                raise RuntimeError("the fifth batch")

    receipt = Receipt(tmp_path, records.ReceiptRecord({"seed": 0}), dict)
    with pytest.raises(RuntimeError, match="the fifth"):
        Trainer(callbacks=[receipt], **QUIET).fit(Failing("nowhere"))
    assert len(records.read_receipt(tmp_path).steps) == 4


def test_a_resumed_run_keeps_its_own_and_a_trial_leaves_none(tmp_path):
    trained(tmp_path, max_epochs=1).save_checkpoint(tmp_path / "last.ckpt")
    before = (tmp_path / "receipt.json").read_bytes()
    assert len(json.loads(before)["steps"]) == 6
    trained(tmp_path, ckpt_path=tmp_path / "last.ckpt", max_epochs=3)
    assert (tmp_path / "receipt.json").read_bytes() == before
    (tmp_path / "receipt.json").unlink()
    trained(tmp_path, fast_dev_run=True)
    assert not (tmp_path / "receipt.json").exists()
