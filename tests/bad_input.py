"""Every key of every group, found by walking conf/; what is typed for them; and what a command may answer."""

import faulthandler
import io
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from tests.runs import CONF

from lit_dl.train import main

LIMIT_SECONDS = 120.0  # of one command, which takes a tenth of a second to one; more is a hang, also on a busy machine
SMALL = (
    "trainer.accelerator=cpu", "trainer.max_steps=1", "trainer.max_epochs=1", "logger=off", "diagnostics=off",
    "trainer.enable_progress_bar=false",
)  # fmt: skip
DIGITS = ("data=digits", "data.train_size=32")
NARROW = "model.hidden=[8]"
# With what each choice makes a run of one small step; the others go with digits and a narrow MLP.
DATA = {
    "spiral": ("data=spiral", "data.points=12", NARROW),
    "regression": ("data=regression", "data.features=5", "loss=mse", NARROW),
    "none": ("data=none", "model=himmelblau"),
    "arrays": ("data=arrays", "data.path=my.npz", NARROW),
    "quickdraw": ("data=quickdraw", "data.path=.", "data.per_class=10", NARROW),
}
MODELS = {
    **dict.fromkeys(("lenet", "alexnet"), ("data=quickdraw", "data.path=.", "data.per_class=10")),
    **dict.fromkeys(("beale", "himmelblau", "rosenbrock", "saddle", "valley"), ("data=none",)),
    "perceptron": ("data=spiral", "data.classes=2", "data.points=12", "loss=binary_cross_entropy"),
}
MEASURED = {
    "devices": ("hardware.sizes=[8]", "hardware.batch_sizes=[8]", NARROW),
    "memory": ("hardware.batch_sizes=[4,8,16]", "hardware.depths=[1,2,3]", "hardware.width=4", NARROW),
}


@dataclass(frozen=True)
class Key:
    """A key, and the overrides with which it is there and its run is small."""

    name: str
    context: tuple[str, ...]


def keys() -> list[Key]:
    """All of them, once for each choice that has it."""
    found: dict[Key, None] = {}
    for path in sorted(CONF.rglob("*.yaml")):
        group, *choice = path.relative_to(CONF).with_suffix("").parts
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text) or {}
        if group == "hydra":
            continue  # its own schema; what lit_dl has of it is in train.yaml, and sweepers have tests of their own
        if group == "experiment":  # what they set are keys of other groups, but for what they measure
            content = {"hardware": content["hardware"]} if "hardware" in content else {}
        is_global = not choice or group == "experiment" or "@package _global_" in text
        names = _dotted(content, "" if is_global else f"{group}.")
        found.update({Key(name, _context(group, "/".join(choice))): None for name in names})
    return list(found)


def _dotted(node: dict, prefix: str) -> Iterator[str]:
    for name, value in node.items():
        if name != "defaults":
            yield f"{prefix}{name}"
            if isinstance(value, dict):
                yield from _dotted(value, f"{prefix}{name}.")


def _context(group: str, choice: str) -> tuple[str, ...]:
    if group == "data":
        return DATA.get(choice, (f"data={choice}", NARROW))
    if group == "model":
        return (*MODELS.get(choice, DIGITS), f"model={choice}")
    if group == "experiment":
        return (f"experiment={choice}", *MEASURED.get(choice, ()))
    return (*DIGITS, NARROW, *([f"{group}={choice}"] if choice else []))


class Hang(BaseException):
    """A command that does not end; no Exception, so that the command cannot take it for an error of its own."""


@contextmanager
def watchdog(seconds: float = LIMIT_SECONDS) -> Iterator[None]:
    """Turn a hang into a failure; one deep in a library, which no signal reaches, into the end of the process."""

    def bark(*_: object) -> None:
        raise Hang(f"no end after {seconds:g} s")

    has_alarm = hasattr(signal, "SIGALRM")  # not on Windows
    before = signal.signal(signal.SIGALRM, bark) if has_alarm else None
    if has_alarm:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(2 * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        if has_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@dataclass
class Answer:
    """What a command answered."""

    code: int
    told: str  # on standard error
    left: list[str]  # files and folders that were not there before


def ask(arguments: list[str], root: Path) -> Answer:
    """Run a command in this process; what it leaves below ``root`` is noted and removed."""
    before = _tree(root)
    out, err = io.StringIO(), io.StringIO()
    try:
        with watchdog(), redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
    finally:
        left = sorted(_tree(root) - before)
        for path in left:
            shutil.rmtree(root / path, ignore_errors=True)
            with suppress(OSError):
                (root / path).unlink()
    assert "Traceback" not in out.getvalue() + err.getvalue(), err.getvalue()
    return Answer(code, err.getvalue(), left)


def check(answer: Answer, key: str = "", value: str = "''") -> None:
    """Exit code 0, 1 or 2, and one message of a failure; of a wrong command with key and value, and nothing left."""
    assert answer.code in (0, 1, 2), answer
    if answer.code:
        assert re.findall(r"^error: ", answer.told, re.MULTILINE) == ["error: "], answer
        assert answer.told.startswith("error: "), answer
        assert len(answer.told.splitlines()) <= 8, answer
        assert "The stack trace is in" not in answer.told, answer  # as of an error that nobody foresaw
    if answer.code == 2:
        assert answer.left == []
        assert key in answer.told, (key, answer)
        assert not shown(value) or any(text in answer.told for text in shown(value)), (value, answer)


def shown(value: str) -> list[str]:
    """The ways in which a message may show a value that was typed so; none where it names other keys, or is empty."""
    if "${" in value or value == "''":
        return []
    parsed = OverridesParser.create().parse_override(f"key={value}").value()
    parsed = parsed.text if isinstance(parsed, QuotedString) else parsed
    grouped = [f"{parsed:,}"] if isinstance(parsed, int | float) else []
    return [value.strip("'"), str(parsed), repr(parsed), *grouped]


def _tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}
