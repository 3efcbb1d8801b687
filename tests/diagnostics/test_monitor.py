"""The monitor on modules that lit_dl never saw, against gradients taken by hand."""

import math
import re

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.demos import LightningTransformer
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.plugins import MixedPrecision
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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


def monitored(
    module: LightningModule, tmp_path, logger=None, monitor: GradientMonitor | None = None, **options
) -> dict[str, dict[int, float]]:
    notebook = Notebook()
    monitor = monitor or GradientMonitor()
    defaults = {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 2}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    options = {**defaults, **quiet, "logger": logger or notebook, **options}
    Trainer(callbacks=[monitor], default_root_dir=tmp_path, **options).fit(module)
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
    before = [p.detach().clone() for p in module.parameters()]
    values = monitored(module, tmp_path, monitor=monitor, **options)
    assert monitor.diverged_at == 1
    if "accumulate_grad_batches" not in options:  # the run ends before the second batch, so before any step
        assert values["grad_nonfinite/total"] == {1: 25 + 18}  # all entries
    assert all(torch.equal(p, old) for p, old in zip(module.parameters(), before, strict=True))


def test_inputs_that_are_not_finite_are_named_and_no_override_is_said_to_help(tmp_path):
    class Spoilt(Stranger):
        def train_dataloader(self):
            inputs, labels = BATCHES[0]
            return DataLoader([BATCHES[1], (inputs * math.nan, labels)], batch_size=None)

    monitor = GradientMonitor()
    monitored(Spoilt(), tmp_path, monitor=monitor)
    finding = monitor.findings[0]
    assert (finding.kind, finding.since_step, finding.layers, finding.advice) == ("diverged", 2, [], "")
    assert finding.message == "the loss is nan; inputs of the batch are not finite either (epoch 1, batch 2)"


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
    monitored(module, tmp_path, monitor=monitor, max_epochs=4)
    finding = monitor.findings[0]
    assert (finding.kind, finding.since_step, finding.layers) == ("diverged", 8, ["02_linear"])
    assert finding.evidence["rows"] == list(range(8, 16))


def test_a_run_may_go_on_all_the_same(tmp_path):
    module, monitor = Explosive("loss"), GradientMonitor(on_divergence="continue")
    monitored(module, tmp_path, monitor=monitor, max_epochs=4)
    assert module.trainer.global_step == 24
    assert monitor.diverged_at == 8


def test_neither_stop_nor_continue_is_an_error():
    with pytest.raises(ValueError, match="'explode'; it must be stop or continue"):
        GradientMonitor(on_divergence="explode")


class Speaker(LightningModule):
    """An embedding, an LSTM and a head, registered the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.lstm = nn.LSTM(4, 6, batch_first=True, num_layers=2)
        self.embedding = nn.Embedding(20, 4)

    def training_step(self, batch, batch_idx):
        outputs, _ = self.lstm(self.embedding(batch[0]))
        return nn.functional.cross_entropy(self.head(outputs[:, -1]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def train_dataloader(self):
        tokens = torch.randint(0, 20, (64, 7), generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(tokens, tokens.sum(dim=1) % 3), batch_size=8)


def test_it_works_on_an_lstm_with_the_layers_in_order_of_use(tmp_path):
    values = monitored(Speaker(), tmp_path)
    for measure in ("grad_norm", "grad_rms", "update_ratio", "weight_norm"):
        tags = [tag for tag in values if tag.startswith(f"{measure}/0")]
        assert tags == [f"{measure}/{layer}" for layer in ("01_embedding", "02_lstm", "03_linear")]


class Tokens(LightningTransformer):
    """Lightning's demo on tokens made here instead of a text from the network."""

    def __init__(self) -> None:
        super().__init__(vocab_size=30)

    def prepare_data(self):
        pass

    def train_dataloader(self):
        tokens = torch.randint(0, 30, (16, 12), generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(tokens, tokens.roll(-1, dims=1)), batch_size=4)


def test_it_works_on_lightnings_transformer(tmp_path):
    values = monitored(Tokens(), tmp_path, logger=None, max_steps=3, max_epochs=-1)
    layers = [tag.removeprefix("grad_rms/") for tag in values if tag.startswith("grad_rms/")]
    assert layers[:3] == ["01_embedding", "02_multiheadattention", "03_linear"]
    assert len(layers) == sum(any(True for _ in module.parameters(recurse=False)) for module in Tokens().modules())


def test_it_works_with_several_optimizers_stepped_by_hand(tmp_path):
    class ByHand(Stranger):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            for optimizer in self.optimizers():
                optimizer.zero_grad()
                self.manual_backward(super().training_step(batch, batch_idx))
                optimizer.step()

        def configure_optimizers(self):
            return [torch.optim.SGD(layer.parameters(), lr=0.01) for layer in (self.net[1], self.net[3])]

    values = monitored(ByHand(), tmp_path, log_every_n_steps=4)
    assert list(values["grad_norm/total"]) == [2, 6, 10]  # two steps a batch: the first after steps 1, 4 and 8


def test_what_it_costs_is_measured(tmp_path):
    monitor = GradientMonitor()
    monitored(Stranger(), tmp_path, monitor=monitor, max_epochs=10, log_every_n_steps=1)
    assert 0 < monitor.seconds < monitor.training_seconds
    assert monitor.share == monitor.seconds / monitor.training_seconds


def test_every_step_and_histograms_on_request(tmp_path):
    logger = TensorBoardLogger(tmp_path, "", "", default_hp_metric=False)
    monitor = GradientMonitor(every_step=True, histograms=True)
    monitored(Stranger(), tmp_path, logger=logger, monitor=monitor, max_epochs=3)
    assert monitor.history.steps == 18
    assert not math.isnan(monitor.history.logs().sum())  # of every step
    events = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0}).Reload()
    names = ["activation/01_relu", *(f"{of}/0{n}_linear" for of in ("gradient", "weight") for n in (1, 2))]
    assert set(events.Tags()["histograms"]) == {f"histogram_{name}" for name in names}
    assert [each.step for each in events.Histograms("histogram_weight/01_linear")] == [1, 8, 14]


def test_tensorboard_gets_the_picture_and_the_diagnosis(tmp_path):
    class Vanishing(Stranger):
        def __init__(self) -> None:
            super().__init__()
            self.net = MLP((4,), 3, [8] * 9, activation=nn.Sigmoid)

    monitored(Vanishing(), tmp_path, logger=TensorBoardLogger(tmp_path, "", "", default_hp_metric=False), max_epochs=20)
    events = EventAccumulator(str(tmp_path)).Reload()
    picture = events.Images("gradient_flow")[-1]
    assert (picture.step, picture.width, picture.height) == (120, 560, 420)
    texts = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("diagnosis/text_summary")]
    assert len(texts) == 2  # once certain, and at the end
    assert all("| **vanishing gradients** | 1 | 01_linear" in text for text in texts)


def test_one_chart_in_tensorboard_shows_all_layers(tmp_path):
    monitored(Stranger(), tmp_path, logger=TensorBoardLogger(tmp_path, "", "", default_hp_metric=False))
    events = EventAccumulator(str(tmp_path)).Reload()
    layout = events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    charts = [chart for category in Layout.FromString(layout).category for chart in category.chart]
    shown = [{tag for tag in events.Tags()["scalars"] if re.fullmatch(chart.multiline.tag[0], tag)} for chart in charts]
    layers = ("01_linear", "02_linear")
    assert shown == [
        *({f"{measure}/{layer}" for layer in layers} for measure in ("grad_rms", "grad_norm", "grad_zeros")),
        *({f"{measure}/{layer}" for layer in layers} for measure in ("update_ratio", "weight_norm")),
        *({f"activation/01_relu/{name}"} for name in ("mean", "std")),
        set(),  # a ReLU does not saturate
        {"activation/01_relu/dead"},
    ]


def test_what_the_optimizer_makes_of_the_gradients_is_logged_on_request_alone(tmp_path):
    class Adaptive(Stranger):
        def configure_optimizers(self):
            return torch.optim.Adagrad(self.parameters(), lr=0.01)

    wanted = {f"{name}/0{n}_linear" for name in ("effective_lr", "step_rms", "step_max") for n in (1, 2)}
    plain = monitored(Adaptive(), tmp_path)
    monitor = GradientMonitor(optimizer_steps=True)
    module = Adaptive()
    values = monitored(module, tmp_path, monitor=monitor)
    assert set(values) - set(plain) == wanted
    assert values["effective_lr/01_linear"].keys() == {1, 2, 4, 6}
    state = module.optimizers().state
    roots = torch.cat([state[p]["sum"].sqrt().flatten() for p in module.net[1].parameters()])
    assert values["effective_lr/01_linear"][6] == pytest.approx(0.01 / (roots + 1e-10).mean().item(), rel=1e-6)
    resumed = GradientMonitor(optimizer_steps=True)
    resumed._restore(monitor.state_dict())
    for line, other in zip(*(each.step_history.lines("effective_lr") for each in (monitor, resumed)), strict=True):
        assert line[1].tolist() == other[1].tolist()


def test_tensorboard_gets_the_picture_of_the_steps_and_their_charts(tmp_path):
    logger = TensorBoardLogger(tmp_path, "", "", default_hp_metric=False)
    monitored(Stranger(), tmp_path, logger=logger, monitor=GradientMonitor(optimizer_steps=True))
    events = EventAccumulator(str(tmp_path)).Reload()
    (picture,) = events.Images("effective_lr")
    assert (picture.step, picture.width, picture.height) == (6, 900, 640)
    layout = Layout.FromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    (charts,) = (category.chart for category in layout.category if category.title == "optimizer")
    shown = [{tag for tag in events.Tags()["scalars"] if re.fullmatch(chart.multiline.tag[0], tag)} for chart in charts]
    names = ("effective_lr", "step_rms", "step_max")
    assert shown == [{f"{name}/01_linear", f"{name}/02_linear"} for name in names]
