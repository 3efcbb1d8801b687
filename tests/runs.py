"""What tests of whole runs share: a short run, the program, and its curves read back."""

import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

QUICK = ("data=digits", "trainer.max_epochs=2", "trainer.accelerator=cpu")
PROGRAM = [sys.executable, "-m", "lit_dl.train"]


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def steps_and_values(folder: Path, tag: str) -> tuple[list[int], list[float]]:
    scalars = events(folder).Scalars(tag)
    return [scalar.step for scalar in scalars], [scalar.value for scalar in scalars]
