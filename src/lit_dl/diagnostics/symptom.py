"""What rules share: what one sees, thresholds, and what they ask of the steps before."""

import math
from typing import Any, NamedTuple

from lit_dl.diagnostics.activations import ActivationStatistics
from lit_dl.diagnostics.observation import Observation, RunningStatistics
from lit_dl.records import Advice, Finding, Kind

GOOD_RATIO = 1e-3  # of update to weight: "should be somewhere around 1e-3" (CS231n)
FAST = 100 * GOOD_RATIO
SLOW = GOOD_RATIO / 10
FIRST_RATIO = 10 * GOOD_RATIO  # aimed at in the first step, where gradients are largest
RISES = 1.5  # times the first loss
NOT_LEARNT = 0.8  # of the first loss; below it something was learnt
HALF_LEARNT = 0.5
PATIENCE = 100  # steps that a learning rate is given to show what it can do

SQUASHING = ("sigmoid", "tanh", "softmax", "softsign", "hardsigmoid", "hardtanh", "logsigmoid")

EXPLODING = 1e3  # total norm; 100 times the largest bound in use for clipping (10; Pascanu et al. 2013 clip at 1 to 10)


class Symptom(NamedTuple):
    """What a rule sees."""

    layers: list[str]
    message: str
    evidence: dict[str, Any]
    advice: tuple[Advice, ...] = ()

    def as_finding(self, kind: Kind, since_step: int) -> Finding:
        """The finding that it becomes once it is certain."""
        return Finding(kind, since_step, *self)


def better_rate(stats: RunningStatistics) -> Advice:
    """The learning rate with which the first step would change the weights by FIRST_RATIO of their size.

    For SGD and Adam alike the first step is proportional to the rate. Rounded to 1, 2 or 5 times a power of ten.
    """
    if not (math.isfinite(stats.first_ratio) and stats.first_ratio > 0):
        return Advice("lr", "1e-03")  # Adam's default, and small for SGD
    wanted = stats.highest_lr * FIRST_RATIO / stats.first_ratio
    power = 10.0 ** math.floor(math.log10(wanted))
    return Advice("lr", f"{max(each for each in (1, 2, 5) if each * power <= wanted * (1 + 1e-9)) * power:.0e}")


def starts_too_fast(stats: RunningStatistics) -> bool:
    """Whether the very first step was too long for a gradient of ordinary size."""
    return stats.first_ratio >= FAST and stats.first_total < EXPLODING


def jumped(stats: RunningStatistics) -> bool:
    """Whether long first steps made the loss rise, and it has not come down since."""
    rose = stats.first_loss is not None and stats.largest_loss >= RISES * stats.first_loss
    return rose and starts_too_fast(stats) and stats.learnt() >= NOT_LEARNT


def has_decayed(now: Observation, stats: RunningStatistics) -> bool:
    """Whether a schedule has taken the learning rate below a tenth of its highest."""
    return now.lr < 0.1 * stats.highest_lr


def kind_of_activation(activation: ActivationStatistics) -> str:
    """``relu`` of 01_relu."""
    return activation.name.split("_")[1]


def times(share: float) -> str:
    """A share in words: 25% or, where it is large, 12 times."""
    return f"{share:.0%}" if share < 10 else f"{share:,.3g} times"
