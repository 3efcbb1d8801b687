"""docs/course.md: its commands work and take no longer than it says, and no experiment is missing."""

import re
import shlex
import time
from pathlib import Path

import lit_dl.conf
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "course.md"
MINUTES = {"two minutes": 2, "three minutes": 3}  # what a line may say; otherwise it is one
NEEDS_FILES = re.compile(r"[A-Z_]{4,}|data=fashion_mnist")  # a placeholder, or what is not on this machine


def commands() -> list[tuple[str, float]]:
    """The training commands of the page, and how many minutes each may take; less those that test_comparisons runs."""
    found = []
    elsewhere = re.findall(r'compared\("(\w+)"', Path(__file__).with_name("test_comparisons.py").read_text())
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        for command in re.findall(r"`python -m lit_dl\.train ([^`]*)`", line):
            if not NEEDS_FILES.search(command) and command.removeprefix("experiment=") not in elsewhere:
                found.append((command, next((n for words, n in MINUTES.items() if words in line), 1)))
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch's compiler calls deprecated parts of torch
@pytest.mark.parametrize(("arguments", "minutes"), commands(), ids=[arguments for arguments, _ in commands()])
def test_a_command_of_the_course_works_within_its_time(command, mnist_root, monkeypatch, arguments, minutes):
    monkeypatch.setenv("LIT_DL_DATA_DIR", str(mnist_root))
    begun = time.monotonic()
    result = command(*shlex.split(arguments))
    assert result.code == 0, result.err
    # The page says what it takes on two cores; here another test has one of them, so that it may take twice as long.
    assert time.monotonic() - begun < 2 * 60 * minutes


def test_every_experiment_has_its_line():
    page = PAGE.read_text(encoding="utf-8")
    names = {path.stem for path in (Path(lit_dl.conf.__file__).parent / "experiment").glob("*.yaml")}
    told = set(re.findall(r"experiment=(\w+)", page))
    assert {name.removesuffix("_cured") for name in names} == {name.removesuffix("_cured") for name in told}


def test_its_pictures_are_there():
    for picture in re.findall(r'src="([^"]+)"', PAGE.read_text(encoding="utf-8").replace("<img\nsrc", "<img src")):
        assert (PAGE.parent / picture).is_file(), picture
