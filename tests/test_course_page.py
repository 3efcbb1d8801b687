"""docs/course.md: its commands work and take no longer than it says, and no experiment is missing."""

import re
import shlex
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.runs import COMPARISONS, choices

from lit_dl.hardware.__main__ import main as measure

PAGE = Path(__file__).parents[1] / "docs" / "course.md"
MINUTES = {"two minutes": 2, "three minutes": 3}  # what a section may say before its command; otherwise it is one
NEEDS_FILES = re.compile(r"[A-Z_]{4,}|data=fashion_mnist")  # a placeholder, or what is not on this machine


class Command(NamedTuple):
    program: str  # the module of lit_dl
    arguments: str
    minutes: float  # that it may take


def commands_of(page: str) -> list[Command]:
    """The commands of a page: in a table between backticks, elsewhere on a line of their own in a block of shell."""
    found, said, in_shell = [], "", False
    for line in page.splitlines():
        if line.startswith("```"):
            in_shell = line == "```sh"
            continue
        if not in_shell and line.startswith(("#", "|")):  # a section or a row, which says what its own commands take
            said = ""
        said += f" {line}"
        minutes = next((n for words, n in MINUTES.items() if words in said), 1)
        typed = [line] if in_shell else re.findall(r"`([^`]*)`", line) if line.startswith("|") else []
        for match in filter(None, (re.fullmatch(r"python -m lit_dl\.(\w+) ?(.*)", words) for words in typed)):
            found.append(Command(match[1], match[2], minutes))
    return found


def to_run() -> list[Command]:
    """Those that train or measure, less those that test_comparisons runs."""
    return [
        command
        for command in commands_of(PAGE.read_text(encoding="utf-8"))
        if command.program in ("train", "hardware")
        and not NEEDS_FILES.search(command.arguments)
        and command.arguments.removeprefix("experiment=") not in COMPARISONS
    ]


def test_commands_are_found_in_tables_and_in_blocks_with_what_they_may_take():
    page = """
# Course
| a row | `python -m lit_dl.train experiment=one` | two minutes |
| another | `python -m lit_dl.train experiment=two` | and `seed=1` |
## Section
It takes three minutes.
```sh
python -m lit_dl.train data=digits 'model.hidden=[8]'
```
In the text `python -m lit_dl.train experiment=three` is no command of the course.
## Another
```python
python -m lit_dl.train experiment=four
```
```sh
python -m lit_dl.hardware memory
```
"""
    assert commands_of(page) == [
        ("train", "experiment=one", 2), ("train", "experiment=two", 1), ("train", "data=digits 'model.hidden=[8]'", 3),
        ("hardware", "memory", 1),
    ]  # fmt: skip


def test_the_page_has_commands():
    assert len(to_run()) > 40


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch's compiler calls deprecated parts of torch
@pytest.mark.parametrize("asked", to_run(), ids=lambda asked: f"{asked.program} {asked.arguments}")
def test_a_command_of_the_course_works_within_its_time(command, mnist_root, monkeypatch, asked):
    monkeypatch.setenv("LIT_DL_DATA_DIR", str(mnist_root))
    begun = time.monotonic()
    arguments = shlex.split(asked.arguments)
    if asked.program == "hardware":
        assert measure(arguments) == 0
    else:
        result = command(*arguments)
        assert result.code == 0, result.err
    # The page says what it takes on two cores; here another test has one of them, so that it may take twice as long.
    assert time.monotonic() - begun < 2 * 60 * asked.minutes


def test_every_experiment_has_its_place():
    page = PAGE.read_text(encoding="utf-8")
    measured = re.findall(r"lit_dl\.hardware (\w+)", page)
    told = {*re.findall(r"experiment=(\w+)", page), *measured}
    assert {name.removesuffix("_cured") for name in choices("experiment")} == {
        name.removesuffix("_cured") for name in told
    }


def test_its_pictures_are_there():
    for picture in re.findall(r'src="([^"]+)"', PAGE.read_text(encoding="utf-8").replace("<img\nsrc", "<img src")):
        assert (PAGE.parent / picture).is_file(), picture
