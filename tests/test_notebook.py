"""A run in a real notebook. Slow, and only where a notebook can be run: its packages are no dependency."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.run]

CELL = "from lit_dl.train import main\nmain(['data=digits', 'trainer.max_epochs=1', 'trainer.accelerator=cpu'])"


def test_a_run_in_a_notebook_shows_each_line_once_and_logs_it(tmp_path):
    for package in ("nbconvert", "ipykernel"):
        pytest.importorskip(package, reason=f"a notebook is run by nbconvert and ipykernel, and {package} is missing")
    cell = {"cell_type": "code", "source": CELL, "metadata": {}, "outputs": [], "execution_count": None, "id": "run"}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python"}}
    notebook = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    Path(tmp_path / "run.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", "run.ipynb"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    outputs = json.loads((tmp_path / "run.ipynb").read_text())["cells"][0]["outputs"]
    shown = "".join("".join(output.get("data", output).get("text/plain", "")) for output in outputs)
    logged = next(tmp_path.rglob("train.log")).read_text()
    for line in ("epoch 1/1 ", "trainer.max_epochs=1 reached", "55,210 parameters"):
        assert shown.count(line) == 1
        assert logged.count(line) == 1
