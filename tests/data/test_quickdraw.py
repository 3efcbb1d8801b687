"""A folder of bitmaps: found, split by class, and refused."""

import io
import os
import pickle

import numpy as np
import pytest
import torch
from tests.data.strangers import Writes, headed, saved

from lit_dl.data import QuickDraw, base


def draw(folder, counts: dict[str, int]) -> None:
    """Bitmaps whose first pixel is the number of the row, and all others the class, in the order of ``counts``."""
    folder.mkdir(exist_ok=True)
    for shade, (name, count) in enumerate(counts.items()):
        bitmaps = np.full((count, 784), shade, dtype=np.uint8)
        bitmaps[:, 0] = np.arange(count)
        np.save(folder / f"{name}.npy", bitmaps)


@pytest.fixture
def folder(tmp_path):
    draw(tmp_path / "bitmaps", {"cat": 40, "full_numpy_bitmap_aircraft carrier": 60, "dog": 200})
    return tmp_path / "bitmaps"


def test_each_file_is_a_class_by_its_name_in_alphabetical_order(folder):
    data = QuickDraw(folder, per_class=None, normalize=False)
    assert data.class_names == ["aircraft carrier", "cat", "dog"]
    assert (data.num_classes, data.in_shape) == (3, (1, 28, 28))
    shades = torch.tensor([1, 0, 2])  # in the order of the classes
    for images, labels in (data.load_pool(), data.load_test()):
        assert torch.equal(images[:, 0, 5, 5].long(), shades[labels])
        assert images.dtype == torch.uint8


def test_pool_and_test_set_have_each_drawing_once_and_their_shares_of_each_class(folder):
    data = QuickDraw(folder, per_class=None, test_fraction=0.25)
    (pool, labels), (test, test_labels) = data.load_pool(), data.load_test()
    assert (labels.bincount().tolist(), test_labels.bincount().tolist()) == ([45, 30, 150], [15, 10, 50])
    for label, count in enumerate((60, 40, 200)):
        rows = torch.cat([pool[labels == label], test[test_labels == label]])[:, 0, 0, 0]
        assert sorted(rows.tolist()) == list(range(count))


def test_so_many_of_each_class_are_taken_the_same_whatever_the_seeds(folder):
    data, other = QuickDraw(folder, 30), QuickDraw(folder, 30, split_seed=5, shuffle_seed=7)
    assert data.load_pool()[1].bincount().tolist() == [27, 27, 27]
    assert data.load_test()[1].bincount().tolist() == [3, 3, 3]
    assert torch.equal(data.load_pool()[0], other.load_pool()[0])
    rows = data.load_pool()[0][54:, 0, 0, 0]
    assert len(set(rows.tolist())) == 27
    assert rows.max() > 60  # from the whole file of 200, not from its beginning


def test_a_missing_or_empty_folder_says_where_bitmaps_come_from(tmp_path):
    for folder, words in ((tmp_path / "nowhere", "is no folder"), (tmp_path, "has no .npy files")):
        with pytest.raises(FileNotFoundError, match=words) as caught:
            QuickDraw(folder)
        for word in (str(folder), "quickdraw_dataset/full/numpy_bitmap", "data.path=DIR"):
            assert word in str(caught.value)


def test_a_single_class_is_refused(tmp_path):
    draw(tmp_path / "one", {"cat": 9})
    with pytest.raises(ValueError, match=r"cat\.npy is the only class"):
        QuickDraw(tmp_path / "one")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((9, 783), dtype=np.uint8), r"shape \(9, 783\)"),
        (np.zeros((9, 28, 28), dtype=np.uint8), r"shape \(9, 28, 28\)"),
        (np.zeros(784, dtype=np.uint8), r"shape \(784,\)"),
        (np.zeros((9, 784), dtype=np.float32), "type float32"),
        (np.zeros((9, 784), dtype=np.uint8), "per_class is 10, but .* has 9 drawings"),
    ],
)
def test_misshapen_bitmaps_are_named(folder, array, words):
    np.save(folder / "eel.npy", array)
    with pytest.raises(ValueError, match=words) as caught:
        QuickDraw(folder, per_class=10).setup()
    assert "eel.npy" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>", None], ids=["empty", "a page", "cut short"])
def test_a_damaged_file_is_named(folder, content):
    file = folder / "dog.npy"
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    with pytest.raises(OSError, match=r"dog\.npy is damaged"):
        QuickDraw(folder, per_class=10).setup()


def test_a_pickle_is_not_opened(folder):
    for content in (pickle.dumps(Writes(folder / "written")), saved(np.array([Writes(folder / "written")] * 20))):
        (folder / "dog.npy").write_bytes(content)
        with pytest.raises(OSError, match=r"dog\.npy"):
            QuickDraw(folder, per_class=10).setup()
    assert not (folder / "written").exists()


def test_an_archive_a_longer_file_and_one_that_claims_4_tb_are_named(folder):
    archive = io.BytesIO()
    np.savez(archive, np.zeros((9, 784), dtype=np.uint8))
    right = saved(np.zeros((20, 784), dtype=np.uint8))
    lie = headed("|u1", "(5102040817, 784)") + bytes(100)
    for content, words in ((archive.getvalue(), "damaged"), (right + b"x", "damaged"), (lie, "4,000,000,000,")):
        (folder / "dog.npy").write_bytes(content)
        with pytest.raises(OSError, match=words) as caught:
            QuickDraw(folder, per_class=10).setup()
        assert "dog.npy is damaged" in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege there, and pipes are no files")
def test_a_folder_a_link_to_nowhere_and_a_pipe_in_the_place_of_a_file_are_named(folder):
    eel = folder / "eel.npy"
    for make, remove in (
        (eel.mkdir, eel.rmdir),
        (lambda: eel.symlink_to(folder / "nowhere"), eel.unlink),
        (lambda: os.mkfifo(eel), eel.unlink),  # to open a pipe would wait for ever
    ):
        make()
        with pytest.raises(FileNotFoundError, match=r"eel\.npy is no file; put the bitmaps"):
            QuickDraw(folder, per_class=10).setup()
        remove()


def test_a_class_that_is_there_twice_and_too_many_are_named(folder, monkeypatch):
    (folder / "full_numpy_bitmap_cat.npy").write_bytes((folder / "cat.npy").read_bytes())
    with pytest.raises(ValueError, match="has two files of cat"):
        QuickDraw(folder)
    monkeypatch.setattr(base, "MOST_CLASSES", 3)
    with pytest.raises(ValueError, match="bitmaps has 4 classes, at most 3 are allowed"):
        QuickDraw(folder)


@pytest.mark.parametrize("wrong", [{"per_class": 1}, {"test_fraction": 0.0}, {"test_fraction": 1}, {"path": 5}])
def test_an_argument_out_of_range_is_named(folder, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        QuickDraw(**{"path": folder, **wrong})
