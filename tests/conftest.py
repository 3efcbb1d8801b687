"""What tests share: the command in this process, its result, and the real MNIST files where they are."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a test process runs on each core, so they need no more

from dataclasses import dataclass
from pathlib import Path

import pytest

from lit_dl import records
from lit_dl.lightning_seams import KNOWN_REMARKS
from lit_dl.train import main


def pytest_configure(config):
    """Warnings are errors, but for those that lit_dl.lightning_seams leaves unsaid and says why."""
    for remark in KNOWN_REMARKS:
        config.addinivalue_line("filterwarnings", f"ignore:{remark}")


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by -m
def pytest_collection_modifyitems(items):
    """What runs a whole command is marked ``run``."""
    for item in items:
        if "command" in getattr(item, "fixturenames", ()):  # doctests have none
            item.add_marker("run")


@dataclass
class Result:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def folder(self) -> Path:
        """The newest run folder under outputs/."""
        return max(Path("outputs").rglob(".hydra"), key=lambda path: path.stat().st_mtime_ns).parent

    @property
    def record(self) -> records.RunRecord:
        return records.read_run(self.folder)


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run ``python -m lit_dl.train`` with the given overrides, in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides: str) -> Result:
        code = main(list(overrides))
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    root = Path(os.environ.get("LIT_DL_DATA_DIR", "data")).absolute()
    if not (root / "MNIST" / "raw").is_dir():
        pytest.skip(f"the MNIST files are not in {root}/MNIST/raw (LIT_DL_DATA_DIR names the folder above)")
    return root
