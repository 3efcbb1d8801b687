"""Run folders: their names, who holds them, with what they are resumed, and leaving none behind."""

import pytest
import yaml
from tests.folders import make_run

from lit_dl import records
from lit_dl.errors import CommandError


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ("optimizer=scratch/adam", "optimizer=scratch-adam"),
        ("model.hidden=[8, 4]", "model.hidden=_8_4"),
        ("a='b: c'", "a=_b_c"),
        ("x" * 300, "x" * 80),
        ("\u00fc" * 300, "\u00fc" * 40),  # two bytes each
        ("x" * 79 + "\u00fc", "x" * 79),
        ("..", ""),
        ("data=a. ", "data=a"),
        ("nul", "_nul"),
        ("COM1.lr=2", "_COM1.lr=2"),
        ("console", "console"),
    ],
)
def test_overrides_become_a_name_that_any_file_system_takes(overrides, name):
    assert records.file_name(overrides) == name


def test_a_folder_of_a_name_that_is_taken_gets_a_number(tmp_path):
    names = [records.new_folder(str(tmp_path / "outputs" / "then")) for _ in range(3)]
    assert [name.rpartition("/")[2] for name in names] == ["then", "then_2", "then_3"]
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["then", "then_2", "then_3"]


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    with records.alone_in(tmp_path):
        assert records.is_running(tmp_path)
        with pytest.raises(CommandError, match="another process is at work"), records.alone_in(tmp_path):
            pass
    assert not records.is_running(tmp_path)
    assert not records.is_running(tmp_path / "nowhere")


def test_what_cannot_begin_is_withdrawn_with_the_folders_that_it_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_run(tmp_path / "outputs/train/now", "seed=1")
    (folder / "metrics.json").unlink()
    (folder / "train.log").write_text("")
    records.withdraw(folder)
    assert list(tmp_path.iterdir()) == []


def test_what_others_put_there_is_not_withdrawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_run(tmp_path / "outputs/train/now", "seed=1")
    records.withdraw(folder)
    assert [path.name for path in folder.iterdir()] == ["metrics.json"]


def test_a_run_is_resumed_with_what_it_was_started_with(tmp_path):
    folder = make_run(tmp_path / "run", "seed=1", "resume=somewhere", "model.hidden=[8]")
    with pytest.raises(ValueError, match="first epoch was not finished"):
        records.overrides_to_resume(folder)
    (folder / "checkpoints").mkdir()
    records.write_checkpoint(records.last_checkpoint(folder), b"whole")
    assert records.overrides_to_resume(folder) == ["seed=1", "model.hidden=[8]"]
    with pytest.raises(ValueError, match="no run folder"):
        records.overrides_to_resume(tmp_path)


def test_the_config_with_which_a_run_goes_on_takes_the_place_of_the_one_it_began_with(tmp_path):
    folder = make_run(tmp_path / "run", "seed=1")
    records.write_config("seed: 2\nlr: ${optimizer.lr}\n", ["seed=2"], folder)
    assert records.read_config(folder) == {"seed": 2, "lr": "${optimizer.lr}"}
    assert yaml.safe_load((folder / ".hydra/overrides.yaml").read_text()) == ["seed=2"]
