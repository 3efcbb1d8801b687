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


def check_refused(result, words) -> None:
    """A wrong command was answered in a few lines with these words, and left nothing."""
    assert result.code == 2
    for word in words:
        assert word in result.err
    assert "Traceback" not in result.err
    assert len(result.err.strip().splitlines()) <= 4
    assert not Path("outputs").exists()
