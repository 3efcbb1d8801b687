"""A loss or a gradient that is not finite: where it was seen, and that it spoils nothing."""

import math

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from tests.callbacks.strangers import BATCHES, Explosive, Stranger, monitored
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lit_dl import GradientMonitor
from lit_dl.callbacks.divergence import of_what_was_read
from lit_dl.layers import layers_of


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_run_stops_before_the_step_that_would_spoil_its_parameters(tmp_path, where):
    module, monitor = Explosive(where), GradientMonitor()
    monitored(module, tmp_path, monitor=monitor, max_epochs=4)
    assert module.trainer.global_step == 8  # six batches an epoch
    assert monitor.diverged_at == 8
    assert all(torch.isfinite(p).all() for p in module.parameters())
    finding = monitor.findings[0]
    assert finding.kind == "diverged"
    assert finding.layers == ([] if where == "loss" else ["01_linear"])
    assert (finding.evidence["epoch"], finding.evidence["batch"]) == (1, 1)


@pytest.mark.parametrize("options", [{}, {"gradient_clip_val": 1.0}, {"accumulate_grad_batches": 2}])
def test_a_first_step_that_is_not_finite_is_withheld_and_counted(tmp_path, options):
    class Stillborn(Explosive):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * math.nan

    module, monitor = Stillborn("nowhere"), GradientMonitor()
    nn.init.constant_(module.net[1].bias, 10.0)  # the gradient of a ReLU that is silent is 0 whatever comes back
    before = [p.detach().clone() for p in module.parameters()]
    values = monitored(module, tmp_path, monitor=monitor, **options)
    assert monitor.diverged_at == 1
    if "accumulate_grad_batches" not in options:  # the run ends before the second batch, so before any step
        assert values["grad_nonfinite/total"] == {1: 25 + 18}  # all entries
    assert all(torch.equal(p, old) for p, old in zip(module.parameters(), before, strict=True))


def test_a_gradient_whose_norm_overflows_while_its_entries_are_finite_is_told_as_such(tmp_path):
    class Steep(Explosive):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * 1e30  # whose square is beyond float32

    monitor = GradientMonitor()
    monitored(Steep("nowhere"), tmp_path, monitor=monitor)
    finding = monitor.findings[0]
    assert (finding.kind, finding.layers) == ("diverged", ["01_linear", "02_linear"])
    assert finding.message.startswith("each entry of the gradient is finite, but so large that its norm")


def test_the_same_is_said_where_it_is_read_after_the_step():
    network = nn.Linear(2, 1)
    network.weight.grad, network.bias.grad = torch.full((1, 2), 1e30), torch.zeros(1)
    divergence = of_what_was_read(layers_of(network), losses=[0.5], step=3)
    assert (divergence.step, divergence.layers) == (3, ["01_linear"])
    assert "0 layers" not in divergence.message
    assert divergence.message.startswith("each entry of the gradient is finite, but so large that its norm")


def test_inputs_that_are_not_finite_are_named_and_no_advice_is_said_to_help(tmp_path):
    class Spoilt(Stranger):
        def train_dataloader(self):
            inputs, labels = BATCHES[0]
            return DataLoader([BATCHES[1], (inputs * math.nan, labels)], batch_size=None)

    monitor = GradientMonitor()
    monitored(Spoilt(), tmp_path, monitor=monitor)
    finding = monitor.findings[0]
    assert (finding.kind, finding.since_step, finding.layers, finding.advice) == ("diverged", 2, [], ())
    assert finding.message == "the loss is nan; inputs of the batch are not finite either (epoch 1, batch 2)"


def test_the_layer_that_overflows_first_is_named_and_the_rows_of_its_batch(tmp_path):
    class Overflowing(Explosive):
        def training_step(self, batch, batch_idx):
            if self.global_step == 7:
                nn.init.constant_(self.net[3].weight, 3e38)
            return nn.functional.cross_entropy(self.net(batch[0].abs() + 1), batch[1])

        def forward(self, inputs):
            return self.net(inputs.abs() + 1)

        def train_dataloader(self):
            pool = TensorDataset(torch.cat([batch[0] for batch in BATCHES]), torch.arange(48) % 3)
            return DataLoader(pool, batch_size=8)  # in order

    module, monitor = Overflowing("nowhere"), GradientMonitor()
    nn.init.constant_(module.net[1].weight, 1.0)  # a net whose ReLUs are all silent overflows nowhere
    monitored(module, tmp_path, monitor=monitor, max_epochs=4)
    finding = monitor.findings[0]
    assert (finding.kind, finding.since_step, finding.layers) == ("diverged", 8, ["02_linear"])
    assert finding.evidence["rows"] == list(range(8, 16))


@pytest.mark.parametrize(("every", "stops_at"), [(5, 10), (100, 12)])
def test_where_looking_would_wait_for_a_device_a_loss_is_found_at_the_next_logged_step_or_the_end_of_the_epoch(
    tmp_path, every, stops_at
):
    module, monitor = Explosive("loss"), GradientMonitor()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)  # with it a gradient may overflow, so none is looked at
    plugins = [MixedPrecision("16-mixed", "cpu", scaler)]
    monitored(module, tmp_path, monitor=monitor, max_epochs=4, log_every_n_steps=every, plugins=plugins)
    assert (monitor.diverged_at, module.trainer.global_step) == (8, stops_at)
    assert monitor.findings[0].message.startswith("the loss is nan")


def test_a_run_may_go_on_all_the_same(tmp_path):
    module, monitor = Explosive("loss"), GradientMonitor(on_divergence="continue")
    monitored(module, tmp_path, monitor=monitor, max_epochs=4)
    assert module.trainer.global_step == 24
    assert monitor.diverged_at == 8


def test_neither_stop_nor_continue_is_an_error():
    with pytest.raises(ValueError, match="'explode'; it must be stop or continue"):
        GradientMonitor(on_divergence="explode")
