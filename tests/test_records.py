"""metrics.json is written whole or not at all, and read back as it was."""

import json
import math
import os

import pytest

from lit_dl import records


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    record = records.Record("completed", "done", {"val/acc": 0.5}, epochs=3, data={"name": "digits"})
    records.write(record, tmp_path)
    assert records.read(tmp_path) == record


def test_values_that_are_not_finite_become_null(tmp_path):
    records.write(records.Record("diverged", "", {"train/loss": math.nan, "val/loss": math.inf}), tmp_path)
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["metrics"] == {"train/loss": None, "val/loss": None}


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    records.write(records.Record("completed", "the old one"), tmp_path)

    def full(handle):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        records.write(records.Record("failed", "the new one"), tmp_path)
    assert records.read(tmp_path).stop_reason == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "completed"}', '{"status": "odd", "stop_reason": ""}'])
def test_what_is_no_record_is_refused_by_name(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json"):
        records.read(tmp_path)


def test_a_folder_without_a_record_is_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        records.read(tmp_path)


def test_the_environment_names_versions_and_device():
    environment = records.environment("cpu")
    assert environment["packages"]["torch"].startswith("2.")
    assert environment["packages"]["lit_dl"] is not None
    assert environment["device"] == "cpu"
