"""What is printed at the end of a run."""

from pathlib import Path

import pytest
from rich.console import Console

from lit_dl.console import diagnosis_block, result_block
from lit_dl.records import Advice, Finding, RunRecord
from lit_dl.records.finding import as_torch


def printed(content, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(content)
    return captured.get()


@pytest.mark.parametrize("has_curves", [True, False])
def test_tensorboard_is_named_where_it_has_something_to_show(tmp_path: Path, has_curves: bool):
    if has_curves:
        (tmp_path / "events.out.tfevents.1").touch()
    assert ("--logdir" in printed(result_block(RunRecord("completed", "done"), tmp_path, "last epoch"))) == has_curves


def test_evidence_stays_readable_beside_long_advice_in_a_narrow_terminal():
    advice = (Advice("activation", "relu"), Advice("init", "he"))
    finding = Finding("vanishing_gradients", 1, [], "01_linear gets 1/1,000 of 09_linear's RMS gradient", {}, advice)
    text = printed(diagnosis_block([finding], None, as_torch))
    assert "01_linear gets" in text  # in one line, not letter by letter
    assert len(text.splitlines()) <= 6
