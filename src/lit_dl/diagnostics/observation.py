"""What the rules see of a training: an observation of each logged step, and running statistics of those before."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from lit_dl.diagnostics.activations import ActivationStatistics

BLOCK = 20  # steps over which losses are averaged


@dataclass
class Observation:
    """What the rules see of a logged step. Of each layer, None where it has no gradient."""

    step: int
    losses: Sequence[float]  # of each step since the observation before, this one's last
    layers: Sequence[str]  # names, in order of depth
    compared: Sequence[bool]  # whether the layer's gradient compares with others'
    rms: Sequence[float | None]  # RMS gradient
    ratio: Sequence[float | None]  # of update to weight
    total: float  # norm of the gradient that the optimizer gets, so after clipping
    lr: float  # with which the step was made
    activations: Sequence[ActivationStatistics] = ()

    def known(self, values: Sequence[float | None]) -> dict[int, float]:
        """The values of compared layers that have one, by row."""
        rows = enumerate(zip(values, self.compared, strict=True))
        return {row: value for row, (value, compared) in rows if compared and value is not None}

    def state(self) -> dict[str, Any]:
        """Primitives, from which ``load`` makes it again."""
        return {**asdict(self), "activations": [list(each) for each in self.activations]}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> "Observation":
        """From what ``state`` gave."""
        return cls(**{**state, "activations": [ActivationStatistics(*each) for each in state["activations"]]})

    @cached_property
    def fastest(self) -> float:
        """The largest ratio of update to weight among the compared layers."""
        return max(self.known(self.ratio).values(), default=math.nan)


@dataclass
class RunningStatistics:
    """What is remembered of all observations: primitives only, so that a checkpoint can hold it."""

    steps: int = 0
    first_loss: float | None = None
    largest_loss: float = -math.inf
    best_block: float = math.inf  # the least mean loss over BLOCK steps
    latest_block: float = math.nan
    block: list[float] = field(default_factory=list)  # losses of the block that is not full yet
    first_ratio: float = math.nan
    first_total: float = math.nan
    first_last_rms: float = 0.0  # RMS gradient of the last layer
    first_saturated: float = 0.0  # the largest share in the first observation
    highest_ratio: float = 0.0
    highest_total: float = 0.0
    highest_lr: float = 0.0
    previous_lr: float = 0.0
    steps_at_lr: int = 0  # since it was last raised

    def learnt(self) -> float:
        """The newest mean loss over the first loss; 1 where nothing is known."""
        if self.first_loss is None or self.first_loss <= 0 or math.isnan(self.latest_block):
            return 1.0
        return self.latest_block / self.first_loss

    def add(self, now: Observation) -> None:
        """Remember what is needed of an observation."""
        for loss in now.losses:
            if self.first_loss is None:
                self.first_loss = loss
            self.block.append(loss)
            if len(self.block) == BLOCK:
                self.latest_block = sum(self.block) / BLOCK
                self.best_block = min(self.best_block, self.latest_block)
                self.block = []
        self.steps += len(now.losses)
        self.largest_loss = max(self.largest_loss, *now.losses) if now.losses else self.largest_loss
        if math.isnan(self.first_total):
            self.first_ratio, self.first_total = now.fastest, now.total
            rms = now.known(now.rms)
            self.first_last_rms = rms[max(rms)] if rms else 0.0
            self.first_saturated = max((each.saturated or 0.0 for each in now.activations), default=0.0)
        self.highest_ratio = max(self.highest_ratio, now.fastest)
        self.highest_total = max(self.highest_total, now.total)
        self.highest_lr = max(self.highest_lr, now.lr)
        self.steps_at_lr = 0 if now.lr > self.previous_lr else self.steps_at_lr + len(now.losses)
        self.previous_lr = now.lr
