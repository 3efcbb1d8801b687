"""The house's rules: who may import whom, which rooms know what, and how high and how long it may get."""

import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from benchmarks.house import floors_of, imports_of, module_arrows, modules_of, room_arrows, room_of

import lit_dl

SOURCE = Path(lit_dl.__file__).parent
ROOT = Path(__file__).parents[1]
MODULES = modules_of(SOURCE)

GROUND = {"errors", "overrides", "metrics", "layers", "lightning_seams", "tensorboard_seams", "devices", "shell"}

# Which rooms each may import from, beside the ground floor. A command is a file of its own.
MAY_IMPORT = {
    "__main__": {"console"},
    "train": {"cli", "run", "records", "console"},
    "export": {"run", "records", "console"},
    "replay": {"run", "crashes", "records", "console"},
    "verify": {"cli", "run", "records", "console"},
    "hardware.__main__": {"cli", "run", "console"},
    "report.__main__": {"report", "records", "console"},
    "cli": {"sweeps", "run", "records", "console"},
    "sweeps": {"report", "records", "console"},
    "run": {"callbacks", "tasks", "descent", "data", "models", "optim", "plots", "records", "console", "loggers"},
    "report": {"descent", "plots", "records", "console"},
    "descent": {"tasks", "plots", "loggers"},
    "callbacks": {"plots", "diagnostics", "crashes", "records", "console", "loggers"},
    "crashes": {"records"},
    "plots": {"diagnostics", "records"},
    "diagnostics": {"records"},
    "tasks": {"optim", "loggers"},
    "hardware": {"tasks", "models", "data", "console"},
    "task": {"tasks"},  # the old name of a module
    "console": {"records"},
    "records": set(),
    "loggers": set(),
    "data": {"records"},
    "models": set(),
    "optim": set(),
    **{room: set() for room in GROUND},
}
KNOW_HYDRA = {"train", "export", "hardware.__main__", "cli", "sweeps", "run"}
ANSWER_AT_ONCE = {"records", "console", "metrics", "overrides", "cli", "sweeps", "report", "errors", "shell"}
WITHOUT_LIGHTNING = {"models", "optim", "diagnostics", "layers", "devices", "records", "overrides", "metrics"}
MOST_FLOORS = 9
MOST_LINES = 250


def packages(module: str) -> set[str]:
    return {imported.split(".")[0] for imported in imports_of(MODULES[module], MODULES)}


def imported_by(modules: Iterable[str]) -> set[str]:
    """The packages that are there after these modules were imported, in a process of their own."""
    shown = "print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"import sys, {', '.join(modules)}; {shown}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_imports_go_only_where_they_may():
    wrong = {
        f"{room} imports {below}"
        for room, arrows in room_arrows(SOURCE).items()
        for below in arrows - MAY_IMPORT[room] - (set() if room in GROUND else GROUND)
    }
    assert not wrong


def test_every_room_has_its_row_and_no_row_is_without_a_room():
    assert set(room_arrows(SOURCE)) == set(MAY_IMPORT)


def test_nobody_imports_a_command():
    assert not {
        f"{room} imports {below}"
        for room, arrows in room_arrows(SOURCE).items()
        for below in arrows
        & {"__main__", "train", "export", "replay", "verify", "hardware.__main__", "report.__main__"}
    }


def test_the_house_has_no_circle_and_nine_floors_at_most():
    assert max(floors_of(room_arrows(SOURCE)).values()) <= MOST_FLOORS
    floors_of(module_arrows(SOURCE))  # raises where modules import each other in a circle


def test_no_file_is_longer_than_one_can_read_at_a_time():
    files = [*MODULES.values(), *(ROOT / "benchmarks").glob("*.py")]
    long = {str(path): lines for path in files if (lines := len(path.read_text().splitlines())) > MOST_LINES}
    assert not long


def test_only_the_upper_rooms_know_hydra_and_one_place_builds_objects():
    knowing = {room_of(module) for module in MODULES if packages(module) & {"hydra", "omegaconf"}}
    assert knowing <= KNOW_HYDRA
    building = {module for module in MODULES if "hydra.utils" in imports_of(MODULES[module], MODULES)}
    assert building == {"lit_dl.run.objects"}


def test_diagnostics_and_models_know_no_lightning():
    assert not {m for m in MODULES if room_of(m) in WITHOUT_LIGHTNING and packages(m) & {"lightning", "torchmetrics"}}


@pytest.mark.run
def test_what_answers_at_once_imports_no_torch():
    modules = [module for module in MODULES if room_of(module) in ANSWER_AT_ONCE]
    assert not imported_by(modules) & {"torch", "lightning", "optuna", "sklearn"}
    commands = [f"lit_dl.{name}" for name in ("train", "export", "replay", "verify")]
    assert not imported_by(commands) & {"torch", "lightning", "numpy", "matplotlib"}


def test_there_is_no_utils():
    assert not [module for module in MODULES if "util" in module]


def test_every_package_is_in_the_wheel():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert found | {"lit_dl.conf", "hydra_plugins._lit_dl"} == listed
