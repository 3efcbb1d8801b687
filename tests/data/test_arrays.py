"""One's own arrays: read, split, and refused with the file, the array and the way out."""

import pickle
import zipfile

import numpy as np
import pytest
import torch
from tests.data.strangers import Writes, headed
from tests.data.strangers import saved as npy

from lit_dl.data import Arrays, KFold, arrays

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 4


def saved(folder, **arrays):
    np.savez(folder / "my.npz", **arrays)
    return folder / "my.npz"


@pytest.mark.parametrize(
    ("x", "in_shape"),
    [
        (X, (2,)),
        (np.zeros((20, 5, 6), dtype=np.uint8), (1, 5, 6)),
        (np.zeros((20, 3, 5, 6), dtype=np.float16), (3, 5, 6)),
        (np.zeros((20, 7), dtype=np.int64), (7,)),
        (X.astype(">f8"), (2,)),
    ],
)
def test_samples_are_vectors_or_images(tmp_path, x, in_shape):
    data = Arrays(saved(tmp_path, x=x, y=Y))
    data.setup()
    assert data.in_shape == tuple(data.train_set.tensors[0].shape[1:]) == in_shape
    assert data.train_set.tensors[0].dtype == torch.float32


@pytest.mark.parametrize("y", [Y, Y.astype(np.uint8), Y > 1])
def test_whole_numbers_are_classes(tmp_path, y):
    data = Arrays(saved(tmp_path, x=X, y=y))
    assert (data.num_classes, data.num_targets) == (len(np.unique(y)), 0)
    inputs, labels = data.load_pool()
    assert labels.dtype == torch.int64
    assert labels.tolist() == [int(y[int(first) // 2]) for first in inputs[:, 0]]  # row i of X begins with 2 i


@pytest.mark.parametrize("y", [X[:, 0], X.astype(np.float32)], ids=["one", "two"])
def test_floating_point_numbers_are_targets_and_stay_as_they_are(tmp_path, y):
    data = Arrays(saved(tmp_path, x=X, y=y), normalize=True)
    data.setup()
    assert (data.num_classes, data.num_targets, data.out_features) == (0, y.size // 20, y.size // 20)
    targets = torch.cat([part.tensors[1] for part in (data.train_set, data.val_set, data.test_set)])
    assert (targets.shape, targets.dtype) == ((20, y.size // 20), torch.float32)
    assert sorted(targets[:, 0].tolist()) == X[:, 0].tolist()
    assert data.sha256


def test_without_a_test_set_one_is_split_off_the_same_whatever_the_seeds(tmp_path):
    file = saved(tmp_path, x=X, y=Y)
    data, other = Arrays(file, test_fraction=0.25), Arrays(file, test_fraction=0.25, split_seed=3, shuffle_seed=4)
    assert (len(data.load_pool()[1]), len(data.load_test()[1])) == (15, 5)
    assert torch.equal(data.load_test()[0], other.load_test()[0])
    rows = torch.cat([data.load_pool()[0], data.load_test()[0]])[:, 0]
    assert sorted(rows.tolist()) == X[:, 0].tolist()


def test_a_test_set_of_the_file_is_taken_whole(tmp_path):
    data = Arrays(saved(tmp_path, x=X, y=Y, x_test=X[:3] + 100, y_test=Y[:3]))
    assert (len(data.load_pool()[1]), data.load_test()[0].tolist()) == (20, (X[:3] + 100).tolist())


def test_uint8_is_scaled_and_other_numbers_are_not(tmp_path):
    scaled = Arrays(saved(tmp_path, x=np.full((20, 2), 255, dtype=np.uint8), y=Y), normalize=False)
    scaled.setup()
    assert (scaled.train_set.tensors[0] == 1).all()
    plain = Arrays(saved(tmp_path, x=np.full((20, 2), 255), y=Y), normalize=False)
    plain.setup()
    assert (plain.train_set.tensors[0] == 255).all()


def test_folds_of_arrays_are_folds_of_the_pool(tmp_path):
    data = KFold(Arrays(saved(tmp_path, x=X, y=Y, x_test=X, y_test=Y)), folds=5)
    data.setup()
    assert data.sizes() == {"train": 16, "val": 4, "test": 20}
    assert data.val_set.tensors[1].sort().values.tolist() == [0, 1, 2, 3]  # stratified


nan = np.where(X == 4, np.nan, X)
WRONG = {
    "no y": ({"x": X}, "has x, but needs x and y"),
    "nothing": ({}, "has nothing, but needs x and y"),
    "x_test alone": ({"x": X, "y": Y, "x_test": X}, "has x_test alone"),
    "lengths": ({"x": X, "y": Y[:19]}, "x has 20 samples, but y has 19"),
    "test lengths": ({"x": X, "y": Y, "x_test": X, "y_test": Y[:3]}, "x_test has 20 samples, but y_test has 3"),
    "objects": ({"x": np.array([None] * 20), "y": Y}, "x holds Python objects"),
    "words": ({"x": X, "y": np.array(["cat", "dog"] * 10)}, "y is of type <U3; it must be numbers"),
    "complex": ({"x": X * 1j, "y": Y}, "x is of type complex128"),
    "nan": ({"x": nan, "y": Y}, "x has 1 values that are nan"),
    "inf": ({"x": X, "y": X[:, 0] * 1e300}, "y has 19 values that are nan, infinite or too large"),
    "infinite": ({"x": X, "y": np.where(X == 8, -np.inf, X)}, r"y has 1 values that are .* the first at \[4, 0\]"),
    "structured": ({"x": np.zeros(20, dtype=[("a", "f8"), ("b", "f8")]), "y": Y}, "x is of type .*it must be numbers"),
    "structured objects": ({"x": np.zeros(20, dtype=[("a", "O")]), "y": Y}, "x holds Python objects"),
    "dates": ({"x": X, "y": Y.astype("datetime64[s]")}, "y is of type datetime64"),
    "bytes": ({"x": X, "y": np.array([b"cat"] * 20)}, r"y is of type \|S3"),
    "no features": ({"x": X[:, :0], "y": Y}, r"x is empty, its shape is \(20, 0\)"),
    "one sample": ({"x": X[:1], "y": Y[:1]}, "x has 1 samples; .* takes 3 at least"),
    "a number": ({"x": np.array(3.0), "y": Y}, r"x has shape \(\); it must be \(N, features\)"),
    "a label": ({"x": X, "y": np.array(3)}, r"y has shape \(\)"),
    "a target": ({"x": X, "y": np.array(3.0)}, r"y has shape \(\)"),
    "a huge label": ({"x": X, "y": np.where(Y == 3, 10**9, Y)}, "4 different labels from 0 to 1000000000; classes are"),
    "a huge uint64": ({"x": X, "y": np.where(Y == 3, 2**64 - 1, Y).astype(np.uint64)}, "labels up to 18,446,744,073,"),
    "the least int64": ({"x": X, "y": np.where(Y == 3, -(2**63), Y)}, "labels from -9223372036854775808 to 2"),
    "one class of two": ({"x": X, "y": Y > 9}, "y has 1 different labels from 0 to 0"),
    "100,000 classes": (
        {"x": np.zeros((100_000, 1), dtype=np.uint8), "y": np.arange(100_000)},
        "y has 100,000 classes, at most 2,000 are allowed",
    ),
    "empty": ({"x": X[:0], "y": Y[:0]}, "x is empty"),
    "few": ({"x": X[:2], "y": Y[:2]}, "x has 2 samples; .* takes 3 at least"),
    "flat": ({"x": X[:, 0], "y": Y}, r"x has shape \(20,\); it must be \(N, features\)"),
    "five": ({"x": X.reshape(20, 2, 1, 1, 1), "y": Y}, "x has shape"),
    "one-hot": ({"x": X, "y": np.eye(4, dtype=int)[Y]}, r"y has shape \(20, 4\) and type int64; .*argmax"),
    "deep targets": ({"x": X, "y": X.reshape(20, 2, 1)}, r"y has shape \(20, 2, 1\)"),
    "negative": ({"x": X, "y": Y - 1}, "y has 4 different labels from -1 to 2"),
    "from one": ({"x": X, "y": Y + 1}, "y has 4 different labels from 1 to 4"),
    "gap": ({"x": X, "y": Y + (Y > 1)}, "y has 4 different labels from 0 to 4"),
    "one class": ({"x": X, "y": Y * 0}, "y has 1 different labels from 0 to 0; .* two or more"),
    "test labels": ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "y_test has labels from 1 to 4, .* 0 to 3"),
    "test shape": ({"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, r"x has shape \(2,\) .* x_test \(1,\)"),
    "test type": ({"x": X, "y": Y, "x_test": X.astype(np.uint8), "y_test": Y}, "x_test .*uint8; they must be alike"),
    "test targets": ({"x": X, "y": Y, "x_test": X, "y_test": Y + 0.5}, "y_test"),
}


@pytest.mark.parametrize(("arrays", "words"), WRONG.values(), ids=WRONG)
def test_wrong_arrays_are_named_with_their_file(tmp_path, arrays, words):
    with pytest.raises(ValueError, match=words) as caught:
        Arrays(saved(tmp_path, **arrays))
    assert "my.npz" in str(caught.value)


def zipped(folder, compression=zipfile.ZIP_STORED, **members):
    """An .npz file of these bytes."""
    with zipfile.ZipFile(folder / "my.npz", "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return folder / "my.npz"


def test_objects_are_never_unpickled(tmp_path):
    trap = Writes(tmp_path / "written")
    for members in (
        {"x": npy(np.array([trap] * 20)), "y": npy(Y)},
        {"x": npy(X), "y": npy(np.array([(trap,)] * 20, dtype=[("a", object)]))},
        {"x": pickle.dumps(trap), "y": npy(Y)},
        {"x": npy(X), "y": npy(Y), "x_test": npy(np.array(trap)), "y_test": npy(Y)},
    ):
        with pytest.raises((ValueError, OSError), match=r"holds Python objects|is damaged"):
            Arrays(zipped(tmp_path, **members))
    assert not (tmp_path / "written").exists()
    pickle.loads(pickle.dumps(trap))
    assert (tmp_path / "written").exists()  # as it would


LIES = {
    "4 TB": (
        headed("<f8", "(20, 25000000000)"),
        r"claims shape \(20, 25000000000\) .* 4,000,000,000,\d+ bytes",
    ),
    "too large to count": (headed("<f8", f"(20, {10**400})"), r"header claims shape \(20, 1000"),
    "less than nothing": (headed("<f8", "(-20, 2)"), r"header claims shape \(-20, 2\)"),
    "less than nothing, twice": (headed("<f8", "(-20, -2)") + bytes(320), r"header claims shape \(-20, -2\)"),
    "no type": (headed("<q9", "(20, 2)"), "header cannot be read"),
    "no sizes": (headed("<f8", "(20, 'a')"), "header cannot be read"),
    "open brackets": (headed("<f8", "(2," * 9), "header cannot be read"),
    "deep signs": (headed("<f8", "-" * 9000 + "1"), "header cannot be read"),
    "a long header": (headed("<f8", "(20, 2)" + " " * 10**6, b"\x02\x00"), "header cannot be read"),
    "another version": (headed("<f8", "(20, 2)", b"\x09\x00"), r"its version \(9, 0\) is none of"),
    "half a header": (headed("<f8", "(20, 2)")[:20], "header cannot be read"),
    "no header": (b"x" * 400, "header cannot be read"),
    "nothing": (b"", "header cannot be read"),
    "too few values": (npy(X)[:-8], "claims .*which takes 448 bytes, but it has 440"),
    "too many values": (npy(X) + bytes(8), "claims .*which takes 448 bytes, but it has 456"),
}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("content", "words"), LIES.values(), ids=LIES)
def test_a_header_that_lies_is_found_out_before_memory_is_taken(tmp_path, content, words, compression):
    with pytest.raises(OSError, match=rf"my\.npz: x is damaged, or was not written to its end \(.*{words}"):
        Arrays(zipped(tmp_path, compression, x=content, y=npy(Y)))


def test_an_array_too_large_for_the_machine_is_named_before_it_is_read(tmp_path, monkeypatch):
    file = saved(tmp_path, x=X, y=Y)
    monkeypatch.setattr(arrays, "memory", lambda: 479)
    with pytest.raises(
        OSError, match=r"my\.npz: x has shape \(20, 2\) .*, which takes 480 bytes; this machine has 479"
    ):
        Arrays(file)
    monkeypatch.setattr(arrays, "memory", lambda: 480)
    assert Arrays(file).num_classes == 4


def test_values_that_archive_and_header_claim_but_that_are_not_there_are_damage(tmp_path):
    header = headed("<f8", "(20, 2500000)")
    file = zipped(tmp_path, x=header, y=npy(Y))
    content = file.read_bytes()
    sizes = content.index(b"PK\x01\x02") + 20  # in the archive's directory: packed and unpacked, 4 bytes each
    claim = (len(header) + 20 * 2_500_000 * 8).to_bytes(4, "little")
    file.write_bytes(content[:sizes] + claim + claim + content[sizes + 8 :])
    with pytest.raises(OSError, match="x is damaged"):
        Arrays(file)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_damaged(tmp_path, keep):
    file = saved(tmp_path, x=X, y=Y)
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(OSError, match=r"my\.npz is damaged, or was not written to its end"):
        Arrays(file)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: array,
        np.asfortranarray,
        lambda array: array.astype(array.dtype.newbyteorder(">")),
        lambda array: np.repeat(array, 2, axis=0)[::2],
    ],
    ids=["plain", "Fortran order", "big endian", "strided"],
)
def test_however_an_array_lies_in_its_file_it_is_the_same_data(tmp_path, version, change):
    for number, x in enumerate((X, X.astype(np.float32), X.astype(np.uint8), np.arange(960).reshape(20, 3, 4, 4))):
        right = Arrays(saved(tmp_path, x=x, y=Y))
        right.setup()
        data = Arrays(zipped(tmp_path, x=npy(change(x), version), y=npy(change(Y), version)))
        data.setup()
        assert (number, data.sha256) == (number, right.sha256)
        assert torch.equal(data.train_set.tensors[0], right.train_set.tensors[0])


def test_an_array_that_was_mapped_is_saved_as_any_other(tmp_path):
    np.save(tmp_path / "x.npy", X)
    data = Arrays(saved(tmp_path, x=np.load(tmp_path / "x.npy", mmap_mode="r"), y=Y))
    assert sorted(torch.cat([data.load_pool()[0], data.load_test()[0]])[:, 0].tolist()) == X[:, 0].tolist()


def test_a_folder_and_a_file_that_may_not_be_read_are_named(unprivileged):
    (unprivileged / "my.npz").mkdir()
    with pytest.raises(FileNotFoundError, match=r"my\.npz is a folder; data\.path=FILE names one made by"):
        Arrays(unprivileged / "my.npz")
    (unprivileged / "my.npz").rmdir()
    saved(unprivileged, x=X, y=Y).chmod(0)
    with pytest.raises(PermissionError, match=r"my\.npz"):
        Arrays(unprivileged / "my.npz")


def test_what_a_file_says_of_itself_is_told_in_one_short_line_without_control_characters(tmp_path):
    for members in (
        {"\x1b[31mx\n": npy(X), "y" * 9000: npy(Y)},
        {"x": npy(np.zeros(20, dtype=[("a" * 9000, "f8")])), "y": npy(Y)},
        {"x": npy(X)[:20] + b"\x1b[31m" * 1000, "y": npy(Y)},
        {"x": headed("<f8", f"({'2,' * 4000})"), "y": npy(Y)},
    ):
        with pytest.raises((ValueError, OSError)) as caught:
            Arrays(zipped(tmp_path, **members))
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 1000


def test_no_path_and_no_file_say_how_to_make_one(tmp_path):
    with pytest.raises(ValueError, match="path is 5; it must be the name of a file"):
        Arrays(5)
    with pytest.raises(ValueError, match=r"path is null; .*np\.savez.*data\.path=my\.npz"):
        Arrays()
    with pytest.raises(FileNotFoundError, match=r"none\.npz is no file; .*np\.savez"):
        Arrays(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps([1, 2])], ids=["empty", "text", "pickle"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "my.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"my\.npz is no \.npz file; make one by"):
        Arrays(tmp_path / "my.npz")
    (tmp_path / "my.npz").write_bytes(npy(X))
    with pytest.raises(ValueError, match=r"no \.npz file"):
        Arrays(tmp_path / "my.npz")


def test_a_damaged_array_is_named(tmp_path):
    file = saved(tmp_path, x=X, y=Y)
    with zipfile.ZipFile(file) as archive:
        start = archive.getinfo("x.npy").header_offset
    content = bytearray(file.read_bytes())
    content[start + 250] ^= 255  # in the values: behind the headers of the archive's entry and of the array
    file.write_bytes(content)
    with pytest.raises(OSError, match=r"my\.npz: x is damaged.*Bad CRC"):
        Arrays(file)


@pytest.mark.parametrize("wrong", [0, 1.0, "all"])
def test_a_test_fraction_out_of_range_is_named(tmp_path, wrong):
    with pytest.raises(ValueError, match="test_fraction is"):
        Arrays(saved(tmp_path, x=X, y=Y), test_fraction=wrong)


def test_the_command_trains_on_ones_own_arrays(command, tmp_path):
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 600)
    saved(tmp_path, x=generator.normal(size=(600, 5)) + 4 * y[:, None], y=y)
    result = command("data=arrays", "data.path=my.npz", "trainer.max_epochs=5", "trainer.accelerator=cpu")
    assert result.code == 0, result.err
    assert "my.npz: 432 training, 48 validation, 120 test" in result.out
    # A line at 2 and one at 6 of the mean of the five features, whose spread is 1 / sqrt(5), err once in 10^5 samples.
    assert result.record.metrics["test/acc"] > 0.97
    assert result.record.data["name"] == "my.npz"


def test_a_missing_file_is_a_failure_and_wrong_arrays_are_a_wrong_command(command, tmp_path):
    base = "data@data.base=arrays"
    for overrides in (["data=arrays", "data.path=none.npz"], ["data=kfold", base, "data.base.path=none.npz"]):
        result = command(*overrides)
        assert (result.code, result.err.count("none.npz is no file")) == (1, 1)
        assert "Traceback" not in result.err
    zipped(tmp_path, x=headed("<f8", "(20, 25000000000)"), y=npy(Y))
    result = command("data=arrays", "data.path=my.npz")
    assert (result.code, result.err.count("x is damaged")) == (1, 1)
    assert "Traceback" not in result.err
    saved(tmp_path, x=X, y=Y + 1)
    for overrides in (["data=arrays", "data.path=my.npz"], ["data=kfold", base, "data.base.path=my.npz"]):
        result = command(*overrides)
        assert (result.code, result.err.count("labels from 1 to 4")) == (2, 1)
        assert "Traceback" not in result.err


def test_channels_that_come_last_are_found_out(tmp_path):
    np.savez(tmp_path / "my.npz", x=np.zeros((20, 8, 8, 3)), y=np.arange(20) % 2)
    with pytest.raises(ValueError, match=r"x has shape \(20, 8, 8, 3\); channels come before.*transpose\(0, 3, 1, 2\)"):
        Arrays(tmp_path / "my.npz")
