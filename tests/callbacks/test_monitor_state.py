"""A monitor goes on from what a checkpoint has of it, also from what 0.1.0 wrote."""

from math import inf, nan

import pytest
import torch
from lightning.pytorch import seed_everything
from tests.callbacks.strangers import Adaptive, monitored

from lit_dl import GradientMonitor
from lit_dl.callbacks.monitor_state import MonitorState
from lit_dl.records import Advice

# Of a training of eight steps, as lit_dl 0.1.0 wrote it; numbers are shortened.
OF_0_1_0 = {
    "verdict": {
        "held": {"stalled": (1, 2)}, "judged": 1, "sights": 1, "best": None, "waited": 0, "epochs": [1.121, nan],
        "past": {
            "steps": 4, "first_loss": 1.19, "largest_loss": 1.19, "best_block": inf, "latest_block": nan,
            "block": [1.19, 1.159, 1.1, 1.107], "first_ratio": 0.0386, "first_total": 0.444, "first_last_rms": 0.0753,
            "first_saturated": 0.0, "highest_ratio": 0.0386, "highest_total": 0.444, "highest_lr": 0.01,
            "previous_lr": 0.01, "steps_at_lr": 3,
        },
        "findings": [
            {"kind": "diverged", "since_step": 8, "layers": [], "message": "the loss is nan (epoch 2, batch 2)",
             "evidence": {"epoch": 1, "batch": 1, "rows": [1]}, "advice": "trainer.gradient_clip_val=1"},
        ],
    },
    "history": {
        "span": 1, "layers": ["01_linear", "02_linear"],
        "sums": [[-1.21, 0.0, 0.0, -1.452, 0.0, 0.0, 0.0, 0.0], [-1.123, 0.0, 0.0, -1.385, 0.0, 0.0, 0.0, 0.0]],
        "counts": [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]],
        "loss": [[1.19, 1.159, 1.1, 1.107, 1.11, 1.063, 1.115, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]],
    },
    "step_history": None, "seconds": 0.0105, "training_seconds": 0.0214,
}  # fmt: skip


def test_what_0_1_0_wrote_is_read_whole():
    state = MonitorState(optimizer_steps=False)
    state.load(OF_0_1_0)
    (finding,) = state.diagnosis.findings
    assert (finding.kind, finding.since_step, finding.evidence["rows"]) == ("diverged", 8, [1])
    assert finding.advice == (Advice("gradient_clip", "1"),)
    assert (state.diagnosis.diverged_at, state.diagnosis.stats.first_loss) == (8, 1.19)
    assert (state.history.layers, state.history.steps) == (["01_linear", "02_linear"], 8)
    again = state.state(running=0.0)
    assert repr(again["history"]) == repr(OF_0_1_0["history"])
    assert {"held": {"stalled": (1, 2)}, "judged": 1, "observations": 1}.items() <= again["diagnosis"].items()
    assert (again["seconds"], again["training_seconds"]) == (0.0105, 0.0214)


def in_the_terms_of_0_1_0(state: dict) -> dict:
    diagnosis = dict(state["diagnosis"])
    verdict = {"sights": diagnosis.pop("observations"), "past": diagnosis.pop("stats"), **diagnosis}
    return {"verdict": verdict, **{name: part for name, part in state.items() if name != "diagnosis"}}


def trained(tmp_path, epochs: int, ckpt_path=None) -> GradientMonitor:
    """A monitor after so many epochs, whose checkpoint is left behind."""
    seed_everything(0, verbose=False)
    module, monitor = Adaptive(), GradientMonitor(optimizer_steps=True)
    monitored(module, tmp_path, monitor=monitor, max_epochs=epochs, ckpt_path=ckpt_path)
    module.trainer.save_checkpoint(tmp_path / f"{epochs}.ckpt")
    return monitor


@pytest.mark.parametrize("write", [dict, in_the_terms_of_0_1_0], ids=["as it is", "as 0.1.0 wrote it"])
def test_a_training_that_is_resumed_is_watched_as_if_it_had_not_been_stopped(tmp_path, write):
    whole = trained(tmp_path, 4)
    trained(tmp_path, 2)
    checkpoint = torch.load(tmp_path / "2.ckpt", weights_only=True)
    checkpoint["callbacks"]["GradientMonitor"] = write(checkpoint["callbacks"]["GradientMonitor"])
    torch.save(checkpoint, tmp_path / "2.ckpt")
    resumed = trained(tmp_path, 4, ckpt_path=tmp_path / "2.ckpt")
    for part in ("diagnosis", "history", "step_history"):
        assert repr(resumed.state_dict()[part]) == repr(whole.state_dict()[part])
    assert resumed.history.steps == 24


def test_a_checkpoint_that_is_only_looked_at_changes_nothing(tmp_path):
    monitor = trained(tmp_path, 2)
    before = repr(monitor.state_dict())
    monitor.load_state_dict(OF_0_1_0)
    assert repr(monitor.state_dict()) == before
