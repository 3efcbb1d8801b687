"""``python -m lit_dl.hardware`` measures, records and trains nothing."""

from pathlib import Path

import pytest

from lit_dl import records
from lit_dl.hardware.__main__ import main as measure
from lit_dl.train import main as train

SMALL = {
    "devices": ("model.hidden=[8]", "hardware.sizes=[32,64]", "hardware.batch_sizes=[16]", "data.batch_size=32"),
    "memory": ("hardware.width=8", "hardware.depths=[1,2,3]", "hardware.batch_sizes=[8,16,32]", "hardware.depth=2"),
}
MEASURED = {"devices": {"step", "matmul"}, "memory": {"memory"}}
COMMANDS = {"python -m lit_dl.hardware": lambda name: (measure, [name]),
            "python -m lit_dl.train": lambda name: (train, [f"experiment={name}"])}  # fmt: skip
pytestmark = pytest.mark.run


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("program", COMMANDS)
def test_a_measurement_is_recorded_and_builds_no_trainer(program, name, tmp_path, monkeypatch, capfd):
    def none(*arguments, **options):
        raise AssertionError("a Trainer was built")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lightning.pytorch.Trainer.__init__", none)
    main, arguments = COMMANDS[program](name)
    assert main([*arguments, *SMALL[name]]) == 0, capfd.readouterr().err
    (folder,) = Path(f"outputs/{name}").iterdir()
    record = records.read_run(folder)
    assert (record.status, record.epochs, record.steps) == ("completed", 0, 0)
    assert record.stop_reason == "measured; nothing was trained"
    assert record.data["train"] == 1350
    assert {key.partition("/")[0] for key in record.metrics} == MEASURED[name]
    files = {path.name for path in folder.iterdir()} - {".hydra", ".lock", "train.log"}
    assert files == {"metrics.json", f"{name}.png"}


@pytest.mark.parametrize(
    ("override", "words"), [("hardware.sizes=[0]", "sizes: one is 0"), ("seed=-1", "seed=-1: it must be")]
)
def test_a_wrong_value_is_answered_as_by_the_training_command(override, words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert measure(["devices", override]) == 2
    assert words in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
