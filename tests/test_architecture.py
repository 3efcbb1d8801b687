"""The house's rules on who may import whom."""

import ast
from pathlib import Path

import pytest

import lit_dl

SOURCE = Path(lit_dl.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

# Which modules of lit_dl each part may import, by prefix; a part is the longest prefix that matches.
ALLOWED = {
    "lit_dl": [],
    "lit_dl.models": ["lit_dl.models"],
    "lit_dl.data": ["lit_dl.data"],
    "lit_dl.diagnostics": ["lit_dl.diagnostics.monitor"],
    "lit_dl.diagnostics.measures": [],
    "lit_dl.diagnostics.activations": ["lit_dl.diagnostics.measures"],
    "lit_dl.diagnostics.sight": ["lit_dl.diagnostics.activations"],
    "lit_dl.diagnostics.verdict": ["lit_dl.diagnostics.activations", "lit_dl.diagnostics.sight"],
    "lit_dl.diagnostics.board": [
        "lit_dl.diagnostics.activations",
        "lit_dl.diagnostics.measures",
        "lit_dl.diagnostics.sight",
        "lit_dl.loggers",
    ],
    "lit_dl.diagnostics.history": [],
    "lit_dl.diagnostics.feature_maps": ["lit_dl.diagnostics.measures", "lit_dl.loggers"],
    "lit_dl.diagnostics.steps": ["lit_dl.diagnostics.history", "lit_dl.diagnostics.measures"],
    "lit_dl.diagnostics.figures": ["lit_dl.diagnostics.history", "lit_dl.diagnostics.steps", "lit_dl.heat_map"],
    "lit_dl.film": ["lit_dl.records"],
    "lit_dl.diagnostics.region_pictures": [],
    "lit_dl.diagnostics.regions": [
        "lit_dl.diagnostics.measures",
        "lit_dl.film",
        "lit_dl.diagnostics.region_pictures",
        "lit_dl.loggers",
    ],
    "lit_dl.diagnostics.monitor": ["lit_dl.console", "lit_dl.diagnostics", "lit_dl.loggers"],
    "lit_dl.optim": [],
    "lit_dl.optim.groups": ["lit_dl.diagnostics.measures"],
    "lit_dl.machines": ["lit_dl.console", "lit_dl.data", "lit_dl.machines", "lit_dl.models", "lit_dl.task"],
    "lit_dl.machines.hardware": [],
    "lit_dl.machines.tracking": [],
    "lit_dl.export": ["lit_dl.build", "lit_dl.checks", "lit_dl.console", "lit_dl.machines.hardware", "lit_dl.records"],
    "lit_dl.loggers": [],
    "lit_dl.curves": [],
    "lit_dl.losses": [],
    "lit_dl.schedule": [],
    "lit_dl.sums": [],
    "lit_dl.training": ["lit_dl.curves", "lit_dl.loggers", "lit_dl.schedule"],
    "lit_dl.task": ["lit_dl.loggers", "lit_dl.losses", "lit_dl.sums", "lit_dl.training"],
    "lit_dl.descent": [],
    "lit_dl.descent.surfaces": [],
    "lit_dl.descent.point": ["lit_dl.descent.surfaces"],
    "lit_dl.descent.task": [
        "lit_dl.descent.point",
        "lit_dl.descent.trajectories",
        "lit_dl.loggers",
        "lit_dl.training",
    ],
    "lit_dl.descent.trajectories": ["lit_dl.descent.surfaces"],
    "lit_dl.descent.figures": ["lit_dl.film", "lit_dl.descent.surfaces", "lit_dl.descent.trajectories"],
    "lit_dl.records": [],
    "lit_dl.checks": ["lit_dl.records"],
    "lit_dl.folders": ["lit_dl.checks", "lit_dl.records"],
    "lit_dl.resume": ["lit_dl.checks", "lit_dl.folders", "lit_dl.records"],
    "lit_dl.job": ["lit_dl.checks", "lit_dl.console", "lit_dl.folders", "lit_dl.records"],
    "lit_dl.sweep": ["lit_dl.checks", "lit_dl.console", "lit_dl.folders", "lit_dl.records", "lit_dl.report"],
    "lit_dl.grid": ["lit_dl.checks", "lit_dl.folders", "lit_dl.sweep"],
    "lit_dl.study": ["lit_dl.checks", "lit_dl.console", "lit_dl.grid", "lit_dl.records", "lit_dl.sweep"],
    "lit_dl.report": [
        "lit_dl.console",
        "lit_dl.heat_map",
        "lit_dl.records",
        "lit_dl.report",
        "lit_dl.descent.figures",
        "lit_dl.descent.trajectories",
    ],
    "lit_dl.heat_map": [],
    "lit_dl.checkpoints": ["lit_dl.records"],
    "lit_dl.console": ["lit_dl.records"],
    "lit_dl.progress": ["lit_dl.console"],
    "lit_dl.descent.trace": ["lit_dl.console", "lit_dl.progress"],
    "lit_dl.command": ["lit_dl.checks", "lit_dl.grid", "lit_dl.job", "lit_dl.resume", "lit_dl.study"],
    "lit_dl.build": [
        "lit_dl.checkpoints",
        "lit_dl.checks",
        "lit_dl.command",
        "lit_dl.data",
        "lit_dl.descent",
        "lit_dl.diagnostics",
        "lit_dl.models",
        "lit_dl.optim",
        "lit_dl.progress",
        "lit_dl.records",
        "lit_dl.schedule",
        "lit_dl.task",
        "lit_dl.training",
    ],
    "lit_dl.facts": ["lit_dl.build", "lit_dl.console", "lit_dl.descent", "lit_dl.machines.hardware"],
    "lit_dl.outcome": ["lit_dl"],
    "lit_dl.train": ["lit_dl"],
}


WITHOUT_TORCH = {
    f"lit_dl.{name}"
    for name in (
        "records",
        "checks",
        "console",
        "heat_map",
        "film",
        "descent.surfaces",
        "descent.trajectories",
        "descent.figures",
    )
}
KNOW_HYDRA = {
    f"lit_dl.{name}"
    for name in (
        "train",
        "build",
        "facts",
        "outcome",
        "command",
        "export",
        "job",
        "checks",
        "grid",
        "sweep",
        "study",
    )
}
KNOW_NO_LIGHTNING = ("lit_dl.models", "lit_dl.optim", "lit_dl.diagnostics.measures", "lit_dl.diagnostics.steps")


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Everything that a module imports, also inside functions, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name_of(module) for module in MODULES}
            found |= (submodules & known) or {str(node.module)}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_only_where_they_may(path):
    name = name_of(path)
    part = max((prefix for prefix in ALLOWED if f"{name}.".startswith(f"{prefix}.")), key=len)
    ours = {imported for imported in imports_of(path) if imported.split(".")[0] == "lit_dl"}
    for imported in ours:
        assert any(f"{imported}.".startswith(f"{allowed}.") for allowed in ALLOWED[part]), f"{name} imports {imported}"
        assert imported != "lit_dl.train" or name == "lit_dl.train"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_hydra_builds_objects_in_one_place_and_models_know_no_lightning(path):
    name, imported = name_of(path), imports_of(path)
    packages = {name.split(".")[0] for name in imported}
    if name != "lit_dl.build":
        assert "hydra.utils" not in imported
    if name not in KNOW_HYDRA:
        assert not packages & {"hydra", "omegaconf"}
    if name.startswith(KNOW_NO_LIGHTNING):
        assert "lightning" not in packages
    if name in WITHOUT_TORCH or ".report" in name:
        assert not packages & {"torch", "lightning"}


def test_there_is_no_utils():
    assert not [path for path in MODULES if "util" in path.stem]
