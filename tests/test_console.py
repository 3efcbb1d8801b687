"""What is printed, on a terminal and in a notebook, and what of it is never an instruction."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from lit_dl.console import PlainConsole, diagnosis_block, only_logged, result_block, say, say_error
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


@pytest.fixture
def in_notebook(monkeypatch):
    """What rich displays when it takes this process for a notebook's kernel."""
    displayed: list[str] = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda segments, text: displayed.append(text))
    monkeypatch.setattr("lit_dl.console.console", PlainConsole())
    return displayed


def test_in_a_notebook_a_line_is_shown_once_and_logged(in_notebook, caplog):
    caplog.set_level("INFO", logger="lit_dl")
    say("epoch 1/10")
    assert in_notebook == ["epoch 1/10\n"]
    assert caplog.messages == ["epoch 1/10"]


def test_in_a_notebook_a_job_of_a_sweep_is_logged_and_not_shown(in_notebook, caplog):
    caplog.set_level("INFO", logger="lit_dl")
    with only_logged():
        say("epoch 1/10")
    assert in_notebook == []
    assert caplog.messages == ["epoch 1/10"]


STRANGE = "a\x1b[31mred\x1b]0;title\x07b\x9b2Jc\rd\x7f[bold]e[/bold]:smile:\tf"
CLEAN = "a[31mred]0;titleb2Jcd[bold]e[/bold]:smile:"  # and f, after spaces for the tab


def strange_table() -> Table:
    table = Table("name")
    table.add_row(STRANGE)
    return table


CONTENTS = {"str": STRANGE, "Text": Text(STRANGE), "Group": Group("", Text(STRANGE)), "Table": strange_table()}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_strings_of_strangers_move_no_cursor_and_are_no_markup(content, capsys, caplog, monkeypatch):
    caplog.set_level("INFO", logger="lit_dl")
    monkeypatch.setattr("lit_dl.console.console", PlainConsole(width=120))
    say(content)
    out = capsys.readouterr().out
    assert CLEAN in out
    assert any(CLEAN in line for line in caplog.messages)
    for text in (out, *caplog.messages):
        assert not set(text) & {*map(chr, range(9)), *map(chr, range(11, 32)), *map(chr, range(127, 160))}


def test_a_message_of_an_error_moves_no_cursor(capsys, caplog, monkeypatch):
    monkeypatch.setattr("lit_dl.console.error_console", PlainConsole(stderr=True))
    say_error(f"{STRANGE}\nsecond line")
    err = capsys.readouterr().err
    assert err.startswith(f"error: {CLEAN}")
    assert err.endswith("\nsecond line\n")
    assert "\x1b" not in err + caplog.text


def test_colours_and_the_movements_of_a_bar_reach_a_terminal(monkeypatch):
    out = StringIO()
    terminal = PlainConsole(file=out, force_terminal=True, color_system="standard", width=40, _environ={})
    with Progress(console=terminal, auto_refresh=False, transient=True) as bar:
        bar.add_task("training", total=2)
        bar.refresh()
    terminal.print(Text("red", style="red"))
    assert "\x1b[31mred\x1b[0m" in out.getvalue()
    assert "\x1b[2K" in out.getvalue()  # the bar's line is taken away
