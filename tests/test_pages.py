"""The pages of the documentation: nothing that can be named is missing there, and the examples work."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from tests.diagnostics.observations import LAYERS, WELL
from tests.runs import choices

from lit_dl import metrics
from lit_dl.data.base import InMemoryData
from lit_dl.diagnostics import rules
from lit_dl.diagnostics.observation import RunningStatistics
from lit_dl.diagnostics.optimizer_steps import STEP_MEASURES
from lit_dl.diagnostics.parameters import MEASURES, LayerStep
from lit_dl.optim import scratch
from lit_dl.records import Kind

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
GROUPS = (
    "data",
    "model",
    "activation",
    "init",
    "optimizer",
    "scheduler",
    "loss",
    "early_stopping",
    "diagnostics",
    "logger",
)


def example(words: str) -> dict[str, Any]:
    """What the block of Python in CONTRIBUTING.md defines that has these words, with the names of its own file."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = [block.replace("\n   ", "\n") for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    (block,) = (re.sub(r"^   ", "", block) for block in blocks if words in block)
    names = {**vars(rules), **vars(scratch), **vars(metrics), "LayerStep": LayerStep, "math": __import__("math")}
    exec(compile(re.sub(r"^METRICS = .*?^\)", "", block, flags=re.DOTALL | re.MULTILINE), words, "exec"), names)
    return names


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_is_in_the_reference(group):
    assert not [choice for choice in choices(group) if f"`{choice}`" not in REFERENCE]


def test_every_metric_measure_and_finding_is_in_the_reference():
    told = [metric.name for metric in metrics.METRICS] + list(get_args(Kind))
    assert not [name for name in told if f"`{name}`" not in REFERENCE]
    assert not [tag for tag in (*MEASURES, *STEP_MEASURES, "effective_lr") if f"`{tag}/" not in REFERENCE]


def test_the_example_of_an_optimizer_moves_each_entry_by_lr():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = example("class SignSGD")["SignSGD"]([weight], lr=0.25)
    weight.grad = torch.tensor([3.0, -0.1])
    optimizer.step()
    assert weight.tolist() == [0.75, -1.75]


def test_the_example_of_a_data_set_is_one():
    moons = example("class Moons")["Moons"]
    assert issubclass(moons, InMemoryData)
    data = moons(noise=0.0)
    data.setup()
    assert data.sizes() == {"train": 900, "val": 100, "test": 1000}
    with pytest.raises(ValueError, match="noise is -1"):
        moons(noise=-1)


def test_the_example_of_a_measure_gives_the_root_mean_square():
    step = LayerStep(entries=4, gradient=1.0, weight=6.0, change=0.0)
    assert example("def weight_rms")["weight_rms"](step) == 3.0  # sqrt(36 / 4)


@pytest.mark.parametrize(("head", "is_found"), [(0.099, False), (0.1, True)])
def test_the_example_of_a_finding_is_seen_from_its_threshold_on(head, is_found):
    rule = example("def head_only")["head_only"]
    assert (rule(replace(WELL, ratio=[1e-3, 1e-3, head]), RunningStatistics()) is not None) == is_found


@pytest.mark.parametrize("ratio", [[0.0, 0.0, 1.0], [1.0], []])
def test_the_example_of_a_finding_bears_layers_that_stand_still_and_nets_of_few_layers(ratio):
    few = replace(WELL, ratio=ratio, layers=LAYERS[: len(ratio)], compared=[True] * len(ratio))
    assert example("def head_only")["head_only"](few, RunningStatistics()) is None


def test_the_example_of_a_metric_is_the_mean_share_of_the_classes_that_occur():
    right, taken, true = [3, 0, 0], [4, 1, 0], [3, 2, 0]
    assert example("def _balanced")["_balanced"](np.array([*right, *taken, *true], dtype=float), 5) == (1 + 0) / 2
