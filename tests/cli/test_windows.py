"""Whole commands where files that are open can be neither removed nor replaced, as on Windows."""

from pathlib import Path

import pytest
from tests.runs import PLAIN, check_refused
from tests.windows import pretend_windows, refused_names

from lit_dl import records


@pytest.fixture
def windows(command, monkeypatch):
    pretend_windows(monkeypatch)
    return command


@pytest.mark.parametrize("override", ["model.hidden=200", "trainer.limit_val_batches=0.1"])
def test_a_wrong_command_leaves_nothing(windows, override):
    check_refused(windows("data=digits", override), [override.partition(".")[0]])


def test_a_run_and_its_resuming_leave_names_that_windows_takes(windows):
    first = windows("data=digits", "trainer.max_epochs=1", "trainer.accelerator=cpu")
    assert first.code == 0
    assert windows(f"resume={first.folder}", "trainer.max_epochs=2").code == 0
    assert first.record.epochs == 2
    assert not refused_names(Path())


@pytest.mark.slow
def test_a_sweep_over_long_values_leaves_names_that_windows_takes(windows):
    hidden = ",".join(str(width) for width in range(10, 40))
    sweep = windows("-m", *PLAIN, "trainer.max_steps=1", "seed=1", f"model.hidden=[{hidden}],[8]")
    assert sweep.code == 0
    assert len(list(Path().rglob(records.METRICS_FILE))) == 2
    assert not refused_names(Path())


@pytest.mark.parametrize("name", ["a:b", "what?", "end.", "end ", "nul", "com1.txt", "x" * 250])
def test_a_name_that_windows_refuses_would_be_seen(tmp_path, name):
    (tmp_path / name).touch()
    (tmp_path / "0_optimizer=adam").touch()
    assert refused_names(tmp_path) == [name]


def test_names_that_differ_by_case_alone_would_be_seen(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "Run").mkdir(exist_ok=True)
    assert sorted(refused_names(tmp_path)) in (["Run", "run"], [])  # none on a file system that makes them one
