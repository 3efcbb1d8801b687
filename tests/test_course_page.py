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
    """The commands of a page, on lines of their own in blocks of shell, with what their section says they take."""
    found = []
    for section in re.split(r"^#+ ", page, flags=re.MULTILINE):
        minutes = next((n for words, n in MINUTES.items() if words in section), 1)
        for block in re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
            for program, arguments in re.findall(r"^python -m lit_dl\.(\w+) ?(.*)$", block, re.MULTILINE):
                found.append(Command(program, arguments, minutes))
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


def test_commands_are_found_in_blocks_with_what_their_section_says_they_take():
    page = """
# Course
`python -m lit_dl.train experiment=one`, in the text, is no command of the course.
## Section
It takes three minutes.
```sh
python -m lit_dl.train data=digits 'model.hidden=[8]'
```
## Another
```python
python -m lit_dl.train experiment=four
```
```sh
python -m lit_dl.hardware memory
```
"""
    assert commands_of(page) == [("train", "data=digits 'model.hidden=[8]'", 3), ("hardware", "memory", 1)]


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
