"""``python -m lit_dl`` names the commands, and each way to start lit_dl knows its version."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import lit_dl
from lit_dl import train
from lit_dl.__main__ import COMMANDS, main

SOURCE = Path(lit_dl.__file__).parent
ENDING = 'if __name__ == "__main__":'


def test_every_command_is_named_and_no_other():
    ending = [path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if ENDING in path.read_text(encoding="utf-8")]
    modules = {path.with_suffix("").parts[0] for path in ending}
    assert set(COMMANDS) == modules - {"__main__"}


def test_the_commands_are_listed_a_line_each(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, what in COMMANDS.items():
        assert [line for line in lines if f"python -m lit_dl.{name} " in line and what in line]
    assert "lit-dl" in "".join(lines)


def test_a_command_without_its_dot_is_answered_with_it(capsys):
    assert main(["train", "data=digits"]) == 2
    assert "python -m lit_dl.train data=digits\n" in capsys.readouterr().err
    assert main(["data=digits"]) == 2
    assert "python -m lit_dl.train data=digits\n" in capsys.readouterr().err


def test_the_package_itself_is_a_command(tmp_path):
    done = subprocess.run([sys.executable, "-m", "lit_dl"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "python -m lit_dl.train" in done.stdout
    assert not list(tmp_path.iterdir())


def lit_dl_script(arguments: list[str]) -> int:
    (script,) = entry_points(group="console_scripts", name="lit-dl")
    return int(script.load()(arguments))


@pytest.mark.parametrize("start", [main, train.main, lit_dl_script])
def test_each_knows_the_version_of_lit_dl(start, capsys):
    assert start(["--version"]) == 0
    assert capsys.readouterr().out == f"lit_dl {lit_dl.__version__}\n"
