"""What tests of rules and diagnosis share: trainings whose logged steps are made by hand."""

import math
from dataclasses import replace

from lit_dl.diagnostics.activations import ActivationStatistics
from lit_dl.diagnostics.diagnosis import Diagnosis
from lit_dl.diagnostics.observation import Observation

LAYERS = ["01_linear", "02_linear", "03_linear"]


def activation(name: str = "01_relu", **values: float) -> list[ActivationStatistics]:
    return [ActivationStatistics(name, 0.5, 0.5, values.get("saturated"), values.get("dead"), values.get("dead"))]


WELL = Observation(
    step=1,
    losses=[2.3],
    layers=LAYERS,
    compared=[True] * 3,
    rms=[1e-3, 1e-3, 1e-2],
    ratio=[1e-3] * 3,
    total=1.0,
    lr=0.1,
    activations=[*activation("01_relu", dead=0.0), *activation("02_relu", dead=0.0)],
)


def loss_at(step: int) -> float:
    return 2.3 * math.exp(-step / 50)


def flat(step: int) -> float:
    return 2.3


def diagnosed(
    seen: Observation, steps: int = 200, every: int = 20, loss=loss_at, first: Observation | None = None
) -> Diagnosis:
    """A training in which every logged step looks alike, but for the first one if it is given."""
    diagnosis = Diagnosis()
    for step in [1, *range(every, steps + 1, every)]:
        previous = 0 if step == 1 else 1 if step == every else step - every
        losses = [loss(each) for each in range(previous + 1, step + 1)]
        diagnosis.see(replace(first if step == 1 and first is not None else seen, step=step, losses=losses))
    return diagnosis


def kinds(diagnosis: Diagnosis) -> list[str]:
    return [finding.kind for finding in diagnosis.findings]
