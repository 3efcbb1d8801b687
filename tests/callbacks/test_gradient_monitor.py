"""The monitor on modules that lit_dl never saw, against gradients taken by hand."""

import math

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from tests.callbacks.strangers import BATCHES, Adaptive, Explosive, Stranger, monitored

from lit_dl import GradientMonitor
from lit_dl.diagnostics.diagnosis import Diagnosis


def norms_by_hand(module: Stranger, batches) -> tuple[float, float]:
    """Of the two layers, for the mean of the batches' losses."""
    module.zero_grad()
    sum(module.training_step(batch, 0) / len(batches) for batch in batches).backward()
    layers = (module.net[1], module.net[3])
    return tuple(math.sqrt(sum(p.grad.double().square().sum().item() for p in layer.parameters())) for layer in layers)


def test_logged_norms_are_those_of_the_batch_at_the_first_step_and_each_nth(tmp_path):
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
    assert "grad_norm_clipped/total" not in monitored(Stranger(), tmp_path)  # nothing is said of it without


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


def test_the_update_ratio_is_the_parameters_own_difference(tmp_path):
    class Moving(Stranger):
        """Keeps its parameters before and after each step."""

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01, weight_decay=0.1)

        def on_train_batch_start(self, batch, batch_idx):
            self.seen = [*getattr(self, "seen", []), [p.detach().double().clone() for p in self.parameters()]]

        def on_train_end(self):
            self.seen.append([p.detach().double().clone() for p in self.parameters()])

    module = Moving()
    values = monitored(module, tmp_path, gradient_clip_val=0.01)
    for step in (1, 2, 4, 6):
        before, after = (torch.cat([p.flatten() for p in module.seen[at][:2]]) for at in (step - 1, step))
        expected = (after - before).square().mean().sqrt() / before.square().mean().sqrt()
        assert values["update_ratio/01_linear"][step] == pytest.approx(expected.item(), rel=1e-5)
        assert values["weight_norm/01_linear"][step] == pytest.approx(before.norm().item(), rel=1e-6)


def test_activations_are_logged_beside_the_layers(tmp_path):
    values = monitored(Stranger(), tmp_path)
    tags = {tag for tag in values if tag.startswith("activation/")}
    assert tags == {f"activation/01_relu/{name}" for name in ("mean", "std", "dead")}
    assert list(values["activation/01_relu/mean"]) == [1, 2, 4, 6]


def test_layers_that_no_optimizer_has_are_not_said_to_stall(tmp_path):
    class Half(Stranger):
        def configure_optimizers(self):
            return torch.optim.SGD(self.net[3].parameters(), lr=1e-3)

    monitor = GradientMonitor()
    values = monitored(Half(), tmp_path, monitor=monitor, max_epochs=30)
    assert set(values["update_ratio/01_linear"].values()) == {0.0}
    assert "stalled" not in {finding.kind for finding in monitor.findings}


@pytest.mark.filterwarnings("ignore:.training_step. returned .None.")
def test_batches_without_a_loss_are_left_out(tmp_path):
    class Picky(Stranger):
        def training_step(self, batch, batch_idx):
            return None if batch_idx % 2 else super().training_step(batch, batch_idx)

    module = Picky()
    values = monitored(module, tmp_path, log_every_n_steps=1)
    assert list(values["grad_rms/01_linear"]) == [1, 3, 5]  # Lightning counts a step for the others too
    first, last = norms_by_hand(module, [BATCHES[4]])
    assert values["grad_norm/total"][5] == pytest.approx(math.hypot(first, last), rel=1e-6)


def test_a_second_training_is_watched_anew(tmp_path):
    monitor = GradientMonitor()
    monitored(Explosive("loss"), tmp_path, monitor=monitor, max_epochs=4)
    assert monitor.diverged_at == 8
    monitored(Stranger(), tmp_path, monitor=monitor, max_epochs=2)
    assert (monitor.findings, monitor.history.steps) == ([], 12)


def test_the_rules_see_the_rate_with_which_a_step_was_made_also_where_it_changes_at_each(tmp_path, monkeypatch):
    class Cycling(Stranger):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=6)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    seen, see = [], Diagnosis.see
    monkeypatch.setattr(Diagnosis, "see", lambda self, now: seen.append((now.step, now.lr)) or see(self, now))
    monitor = GradientMonitor(optimizer_steps=True)
    monitored(Cycling(), tmp_path, monitor=monitor, log_every_n_steps=1)
    alone, rates = Cycling().configure_optimizers(), []
    for _ in range(6):
        rates.append(alone["optimizer"].param_groups[0]["lr"])
        alone["optimizer"].step()
        alone["lr_scheduler"]["scheduler"].step()
    assert len(set(rates)) == 6
    assert seen == list(zip(range(1, 7), rates, strict=True))
    assert monitor.step_history.lines("effective_lr")[-1][1].tolist() == pytest.approx(rates)


def test_what_the_optimizer_makes_of_the_gradients_is_logged_on_request_alone(tmp_path):
    wanted = {f"{name}/0{n}_linear" for name in ("effective_lr", "step_rms", "step_max") for n in (1, 2)}
    plain = monitored(Adaptive(), tmp_path)
    module = Adaptive()
    values = monitored(module, tmp_path, monitor=GradientMonitor(optimizer_steps=True))
    assert set(values) - set(plain) == wanted
    assert values["effective_lr/01_linear"].keys() == {1, 2, 4, 6}
    state = module.optimizers().state
    roots = torch.cat([state[p]["sum"].sqrt().flatten() for p in module.net[1].parameters()])
    assert values["effective_lr/01_linear"][6] == pytest.approx(0.01 / (roots + 1e-10).mean().item(), rel=1e-6)


def test_what_it_costs_is_measured(tmp_path):
    monitor = GradientMonitor()
    assert (monitor.seconds, monitor.share) == (0, None)
    monitored(Stranger(), tmp_path, monitor=monitor, log_every_n_steps=1)
    assert monitor.seconds > 0
    assert 0 < monitor.share < 1
