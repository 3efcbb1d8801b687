"""A checkpoint that is not what was written is known for it."""

import errno
import os
from io import BytesIO
from pathlib import Path

import pytest
import torch

from lit_dl import records
from lit_dl.records import BEST, LAST, checksum_file, is_damaged, whole_checkpoints, write_checkpoint


def saved(number: int = 0) -> bytes:
    content = BytesIO()
    torch.save({"state_dict": {"weight": torch.full((40,), float(number))}, "epoch": number}, content)
    return content.getvalue()


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / records.CHECKPOINTS).mkdir()
    return tmp_path / records.CHECKPOINTS / "last.ckpt"


def test_one_that_is_cut_at_any_length_is_damaged(path):
    content = saved()
    write_checkpoint(path, content)
    assert not is_damaged(path)
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert is_damaged(path), length


def test_one_with_a_flipped_bit_is_damaged(path):
    content = saved()
    write_checkpoint(path, content)
    for place in range(0, len(content), 11):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert is_damaged(path), place


def test_without_a_checksum_beside_it_those_in_the_archive_count(path):
    content = saved()
    path.write_bytes(content)  # as 0.2.0 wrote it
    assert not is_damaged(path)
    for length in range(0, len(content) - 1, 13):
        path.write_bytes(content[:length])
        assert is_damaged(path), length
    place = content.index(torch.zeros(40).numpy().tobytes())  # in the numbers themselves
    path.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    assert is_damaged(path)


@pytest.mark.parametrize("beside", [b"", b"\xff\xfe", b"0" * 64 + b"  last.ckpt\n"])
def test_a_checksum_that_is_damaged_itself_is_no_proof(path, beside):
    write_checkpoint(path, saved())
    checksum_file(path).write_bytes(beside)
    assert is_damaged(path)


def test_the_checksum_is_that_of_sha256sum(path):
    write_checkpoint(path, b"abc")  # of FIPS 180-2, appendix B.1
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum_file(path).read_text() == f"{digest}  last.ckpt\n"


@pytest.mark.parametrize("stops_at", [1, 2, 3])
def test_whenever_the_writing_stops_old_or_new_is_whole(path, monkeypatch, stops_at):
    write_checkpoint(path, saved(1))
    replace, calls = os.replace, []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) >= stops_at:
            raise KeyboardInterrupt  # nothing is put in order after a kill
        replace(*arguments)

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(path, saved(2))
    assert not is_damaged(path)
    assert torch.load(path)["epoch"] == (2 if stops_at == 3 else 1)
    monkeypatch.undo()
    write_checkpoint(path, saved(3))
    assert not is_damaged(path)
    assert len(checksum_file(path).read_text().splitlines()) == 1


def test_a_full_disk_leaves_the_old_one_and_its_checksum(path, monkeypatch):
    write_checkpoint(path, saved(1))
    beside = checksum_file(path).read_text()
    for _ in range(3):

        def full(self: Path, content: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            write_checkpoint(path, saved(2))
        monkeypatch.undo()
    assert checksum_file(path).read_text() == beside
    assert not is_damaged(path)


def test_of_several_the_whole_ones_are_found_newest_first(path):
    best = path.with_name("best.ckpt")
    assert whole_checkpoints(path.parent.parent) == ([], [])
    for each in (path, best):
        write_checkpoint(each, saved())
    assert whole_checkpoints(path.parent.parent) == ([path, best], [])
    path.write_bytes(b"")
    assert whole_checkpoints(path.parent.parent) == ([best], [path])
    assert whole_checkpoints(path.parent.parent, (BEST,)) == ([best], [])
    assert (LAST, BEST) == ("last", "best")
