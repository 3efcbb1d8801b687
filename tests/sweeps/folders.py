"""Sweep folders as tests read them."""

import json
from pathlib import Path

from lit_dl import records


def sweep_of(root: Path = Path()) -> Path:
    (file,) = root.glob("outputs/*/multirun/*/sweep.json")
    return file.parent


def statuses(sweep: Path) -> list[str | None]:
    """Of each planned job, in order; None has no record."""
    found = []
    for name in records.read_sweep(sweep).jobs:
        path = sweep / name / "metrics.json"
        found.append(json.loads(path.read_text())["status"] if path.exists() else None)
    return found
