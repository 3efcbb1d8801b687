"""What a gradient monitor is asked for, and what it has seen."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lit_dl.diagnostics.diagnosis import Diagnosis
from lit_dl.diagnostics.history import History
from lit_dl.diagnostics.optimizer_steps import StepHistory
from lit_dl.records import Advice

RECENT = 50  # steps: the fifty over which a finding must hold show what led to a divergence, too


@dataclass(frozen=True)
class MonitorOptions:
    """The arguments of ``GradientMonitor``."""

    on_divergence: Literal["stop", "continue"]
    every_step: bool
    histograms: bool
    optimizer_steps: bool
    wording: Callable[[Sequence[Advice]], str]


class MonitorState:
    """What a monitor has seen: all that a resumed run goes on from."""

    def __init__(self, optimizer_steps: bool) -> None:
        self.diagnosis = Diagnosis()
        self.history = History()
        self.step_history = StepHistory() if optimizer_steps else None
        self.recent: deque[tuple[int, dict[str, float]]] = deque(maxlen=RECENT)  # logged steps with values by tag
        self.seconds = 0.0  # that the monitor took, of training_seconds
        self.training_seconds = 0.0

    def state(self, running: float) -> dict[str, Any]:
        """Primitives, from which ``load`` goes on.

        Args:
            running: seconds of the training that runs, which has not ended yet.
        """
        steps = self.step_history.state() if self.step_history is not None else None
        seconds = {"seconds": self.seconds, "training_seconds": self.training_seconds + running}
        parts = {"diagnosis": self.diagnosis.state(), "history": self.history.state(), "step_history": steps}
        return {**parts, **seconds}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave; 0.1.0 called the diagnosis a verdict."""
        self.diagnosis.load(state["diagnosis"] if "diagnosis" in state else state["verdict"])
        if state["history"] is not None:
            self.history.load(state["history"])
        if self.step_history is not None and state.get("step_history") is not None:
            self.step_history.load(state["step_history"])
        self.seconds, self.training_seconds = state["seconds"], state["training_seconds"]
