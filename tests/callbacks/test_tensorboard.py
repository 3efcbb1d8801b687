"""What TensorBoard gets of a monitored training."""

import math
import re

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tests.callbacks.strangers import Stranger, monitored
from torch import nn

from lit_dl import GradientMonitor
from lit_dl.callbacks.tensorboard import charts
from lit_dl.diagnostics.parameters import MEASURES
from lit_dl.models import MLP
from lit_dl.records.finding import as_overrides


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


@pytest.mark.parametrize(
    ("wording", "words"),
    [
        ({}, "torch.nn.ReLU(), torch.nn.init.kaiming_normal_(layer.weight)"),
        ({"wording": as_overrides}, "activation=relu init=he"),
    ],
    ids=["in torch's terms", "as overrides"],
)
def test_tensorboard_gets_the_picture_and_terminal_and_tensorboard_the_diagnosis(tmp_path, capsys, wording, words):
    class Vanishing(Stranger):
        def __init__(self) -> None:
            super().__init__()
            self.net = MLP((4,), 3, [8] * 9, activation=nn.Sigmoid)

    logger = TensorBoardLogger(tmp_path, "", "", default_hp_metric=False)
    monitored(Vanishing(), tmp_path, logger=logger, monitor=GradientMonitor(**wording), max_epochs=20)
    events = EventAccumulator(str(tmp_path)).Reload()
    picture = events.Images("gradient_flow")[-1]
    assert (picture.step, picture.width, picture.height) == (120, 560, 420)
    texts = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("diagnosis/text_summary")]
    assert len(texts) == 2  # once certain, and at the end
    assert all("| **vanishing gradients** | 1 | 01_linear" in text for text in texts)
    assert all(f"| `{words}` |" in text for text in texts)
    assert f"Try: {words}\n" in capsys.readouterr().out


def test_one_chart_in_tensorboard_shows_all_layers(tmp_path):
    monitored(Stranger(), tmp_path, logger=TensorBoardLogger(tmp_path, "", "", default_hp_metric=False))
    events = EventAccumulator(str(tmp_path)).Reload()
    layout = events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    laid_out = [chart for category in Layout.FromString(layout).category for chart in category.chart]
    patterns = [chart.multiline.tag[0] for chart in laid_out]
    shown = [{tag for tag in events.Tags()["scalars"] if re.fullmatch(pattern, tag)} for pattern in patterns]
    for measure in MEASURES:
        assert {f"{measure}/{layer}" for layer in ("01_linear", "02_linear")} in shown
    of_relu = [{f"activation/01_relu/{name}"} for name in ("mean", "std")]
    assert shown[-4:] == [*of_relu, set(), {"activation/01_relu/dead"}]  # a ReLU does not saturate


def test_tensorboard_gets_the_picture_of_the_steps_and_their_charts(tmp_path):
    logger = TensorBoardLogger(tmp_path, "", "", default_hp_metric=False)
    monitored(Stranger(), tmp_path, logger=logger, monitor=GradientMonitor(optimizer_steps=True))
    events = EventAccumulator(str(tmp_path)).Reload()
    (picture,) = events.Images("effective_lr")
    assert (picture.step, picture.width, picture.height) == (6, 900, 640)
    layout = Layout.FromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    (laid_out,) = (category.chart for category in layout.category if category.title == "optimizer")
    patterns = [chart.multiline.tag[0] for chart in laid_out]
    shown = [{tag for tag in events.Tags()["scalars"] if re.fullmatch(pattern, tag)} for pattern in patterns]
    names = ("effective_lr", "step_rms", "step_max")
    assert shown == [{f"{name}/01_linear", f"{name}/02_linear"} for name in names]


def test_a_measure_that_has_no_title_gets_a_chart_by_its_name():
    layout = charts([*MEASURES, "grad_to_weight"])
    assert layout["other measures"] == {"grad_to_weight": ["Multiline", [r"grad_to_weight/\d.*"]]}
    assert "optimizer" not in layout
