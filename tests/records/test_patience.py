"""Files that somebody else has open, as Windows sees them."""

import os
import threading
from pathlib import Path

import pytest
from tests.windows import pretend_windows

from lit_dl import records
from lit_dl.records import patience


@pytest.fixture
def refusals(monkeypatch):
    """Lets ``os.replace`` be refused as often as asked for."""
    replace, left = os.replace, []

    def refuse(*paths):
        if left:
            left.pop()
            raise PermissionError(13, "WinError 5: access is denied")
        replace(*paths)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    return left


def test_a_file_is_flushed_through_a_descriptor_that_may_write(tmp_path, monkeypatch):
    pretend_windows(monkeypatch)
    records.write_text(tmp_path / "file", "content")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "content"


def test_a_file_is_replaced_once_its_reader_is_done(tmp_path, refusals):
    (tmp_path / "file").write_text("old", encoding="utf-8")
    refusals += [None, None]
    records.write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "new"
    assert not refusals


def test_a_file_that_stays_open_is_told_and_nothing_is_left_beside_it(tmp_path, refusals):
    (tmp_path / "file").write_text("old", encoding="utf-8")
    refusals += [None] * 100
    with pytest.raises(PermissionError, match="access is denied"):
        records.write_text(tmp_path / "file", "new")
    assert len(refusals) == 100 - len(patience.PAUSES) - 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"


def test_a_reader_that_closes_its_file_a_moment_later_is_waited_for(tmp_path, monkeypatch):
    pretend_windows(monkeypatch)
    (tmp_path / "file").write_text("old", encoding="utf-8")
    reader = (tmp_path / "file").open(encoding="utf-8")
    threading.Timer(0.05, reader.close).start()
    records.write_text(tmp_path / "file", "new")
    assert reader.closed
    assert (tmp_path / "file").read_text(encoding="utf-8") == "new"


def test_text_has_the_same_bytes_on_every_machine(tmp_path, monkeypatch):
    write = Path.write_text

    def as_on_windows(path, text, encoding=None, errors=None, newline=None):
        return write(path, text, encoding, errors, newline="\r\n" if newline is None else newline)

    monkeypatch.setattr(Path, "write_text", as_on_windows)
    records.write_text(tmp_path / "file", "one\ntwo\r\n")
    assert (tmp_path / "file").read_bytes() == b"one\ntwo\r\n"
