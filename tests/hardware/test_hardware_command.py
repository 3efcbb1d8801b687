"""``python -m lit_dl.hardware`` measures the machine as the experiments do."""

from pathlib import Path

import pytest

from lit_dl import records
from lit_dl.hardware.__main__ import main


@pytest.mark.run
def test_it_measures_what_is_named_with_overrides_behind_it(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    sizes = ("hardware.batch_sizes=[8,16,32]", "hardware.depths=[1,2,3]", "hardware.width=4")
    assert main(["memory", *sizes]) == 0
    (path,) = Path("outputs").rglob("metrics.json")
    record = records.read_run(path.parent)
    assert record.status == "completed"
    assert "memory/batch_size/32/training_mib" in record.metrics
    assert "nothing was trained" in capfd.readouterr().out


@pytest.mark.parametrize(("typed", "code"), [([], 2), (["gpus"], 2), (["--help"], 0)])
def test_without_a_name_it_says_what_there_is(capsys, typed, code):
    assert main(typed) == code
    said = "".join(capsys.readouterr())
    for name in ("devices", "memory"):
        assert f"python -m lit_dl.hardware {name}" in said
