"""Commands that can be pasted into any shell, and text that any terminal can show."""

import io
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.folders import make_sweep
from tests.runs import PROGRAM

from lit_dl import shell
from lit_dl.console import _tensorboard
from lit_dl.report.__main__ import main as report

EVERYWHERE = [
    "data=digits",
    "seed=1,2,3",
    "model.hidden=[64, 64]",
    "seed=range(0,3)",
    "a b",
    "x={a: 1}",
    "it's",
    "a&b|c",
]
HARD = ["", "${seed}", "a$b", "say `x`", 'say "x"', "100%", "wow!", "back\\slash", "end\\", 'a\\"b', "tab\tnew\nline"]


def words_on_windows(line: str) -> list[str]:
    """How a program on Windows takes its command line apart (Microsoft, Parsing C command-line arguments)."""
    words, word, quoted, begun, slashes = [], "", False, False, 0
    for letter in line:
        if letter == "\\":
            slashes += 1
            continue
        if letter == '"':
            word, begun = word + "\\" * (slashes // 2), True
            if slashes % 2:
                word += '"'
            else:
                quoted = not quoted
        else:
            word += "\\" * slashes
            if letter in " \t" and not quoted:
                if word or begun:
                    words.append(word)
                word, begun = "", False
            else:
                word += letter
        slashes = 0
    word += "\\" * slashes
    return [*words, word] if word or begun else words


@pytest.mark.parametrize("word", EVERYWHERE)
@pytest.mark.parametrize("system", ["posix", "nt"])
def test_what_can_be_is_quoted_alike_for_every_shell(word, system, monkeypatch):
    monkeypatch.setattr(shell.os, "name", system)
    line = shell.join(["python", word, "last"])
    assert shlex.split(line) == words_on_windows(line) == ["python", word, "last"]
    assert "'" not in line.replace(word, "")  # which cmd.exe takes for a letter


@pytest.mark.parametrize("word", HARD)
def test_the_rest_is_quoted_for_the_shells_of_the_system(word, monkeypatch):
    line = shell.join(["python", word, "last"])
    assert shlex.split(line) == ["python", word, "last"]
    monkeypatch.setattr(shell.os, "name", "nt")
    assert words_on_windows(shell.join(["python", word, "last"])) == ["python", word, "last"]


def test_paths_of_windows_need_no_quotes_unless_they_have_a_space(monkeypatch):
    monkeypatch.setattr(shell.os, "name", "nt")
    assert shell.quote(r"outputs\train\2026-11-21") == r"outputs\train\2026-11-21"
    assert shell.quote(r"C:\my runs\now") == r'"C:\my runs\now"'


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_a_pasted_command_apart_as_it_was_meant():
    words = [word for word in (*EVERYWHERE, *HARD) if word]
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {shell.join(words)}"], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "R² 1 ± 0 … ✕"), ("cp1252", "R² 1 ± 0 … ?"), ("ascii", "R^2 1 +- 0 ... ?")]
)
def test_a_terminal_that_lacks_a_letter_gets_what_is_nearest(monkeypatch, encoding, shown):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    with shell.any_text_printable():
        print("R² 1 ± 0 … ✕", end="", flush=True)
    assert terminal.buffer.getvalue().decode(encoding) == shown
    assert terminal.errors == "strict"


def test_a_terminal_that_was_told_what_to_do_is_left_alone(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", terminal)
    with shell.any_text_printable():
        print("±", end="", flush=True)
    assert terminal.buffer.getvalue() == b"\\xb1"


def test_a_report_is_shown_on_a_terminal_that_knows_only_ascii(tmp_path, monkeypatch):
    sweep = make_sweep(tmp_path / "sweep", {(0.1, 1): 0.5, (0.1, 2): 0.75, (0.2, 1): 0.25, (0.2, 2): 0.5})
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert report([str(sweep)]) == 0
    terminal.flush()
    assert "0.6250 +- 0.1768" in terminal.buffer.getvalue().decode("ascii")
    assert "0.6250 ± 0.1768" in (sweep / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_run_is_shown_where_everything_is_ascii_and_logged_whole(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    asked = ["experiment=himmelblau", "trainer.max_steps=3", "hydra.run.dir=run"]
    done = subprocess.run([*PROGRAM, *asked], env={**os.environ, **plain}, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "(x^2 + y - 11)^2" in done.stdout.decode("ascii")
    assert "(x² + y - 11)²" in (tmp_path / "run/train.log").read_text(encoding="utf-8")


def test_tensorboard_is_named_as_it_can_be_called_where_the_environment_is_not_active(tmp_path, monkeypatch):
    program = tmp_path / "Scripts" / "tensorboard.exe"
    program.parent.mkdir()
    program.touch(mode=0o755)
    found = {str(program.parent): str(program)}
    monkeypatch.setattr(shutil, "which", lambda name, path=None: found.get(path))
    monkeypatch.setattr(sys, "executable", str(program.with_name("python.exe")))
    monkeypatch.chdir(tmp_path)
    assert _tensorboard() == str(Path("Scripts/tensorboard.exe"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python.exe"))
    assert _tensorboard() == "tensorboard"
