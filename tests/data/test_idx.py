"""The IDX reader, and where files are found, fetched and refused."""

import gzip
import hashlib
import threading
import tracemalloc

import pytest
from tests.data.mirrors import DEAD, GZIPPED, PLAIN, SmallFashion, SmallMNIST, idx, serving

from lit_dl.data.idx import FILE_NAMES, read_idx
from lit_dl.data.web import Limits


@pytest.fixture
def mirror():
    with serving() as server:
        yield server


def raw(root, data_set="MNIST"):
    folder = root / data_set / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_idx_reader_gives_the_array_in_its_shape():
    assert read_idx(idx((2, 3), bytes([1, 2, 3, 4, 5, 255]))).tolist() == [[1, 2, 3], [4, 5, 255]]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x00\x08", b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", idx((3,), b"ab"), idx((1,), b"ab"), b"<html>"],
)
def test_the_idx_reader_refuses_what_is_no_such_file(content):
    with pytest.raises(ValueError, match="IDX file"):
        read_idx(content)


@pytest.mark.parametrize("files", [PLAIN, GZIPPED], ids=["plain", "gzipped"])
def test_files_that_are_there_are_read_and_nothing_is_fetched_or_written(tmp_path, files):
    for name, content in files.items():
        (raw(tmp_path) / name).write_bytes(content)
    data = SmallMNIST(tmp_path, mirrors=[DEAD])
    data.prepare_data()
    images, labels = data.load_pool()
    assert images.shape == (60, 1, 28, 28)
    assert bytes(images.flatten().tolist()) == PLAIN[FILE_NAMES[0]][16:]
    assert bytes(labels.tolist()) == PLAIN[FILE_NAMES[1]][8:]
    assert data.load_test()[0].shape == (10, 1, 28, 28)
    assert {path.name for path in raw(tmp_path).iterdir()} == set(files)


def test_missing_files_are_fetched_whole(tmp_path, mirror):
    data = SmallMNIST(tmp_path, mirrors=[mirror.address])
    data.prepare_data()
    for name, content in GZIPPED.items():
        assert (raw(tmp_path) / name).read_bytes() == content
    assert not list(raw(tmp_path).glob("*.part"))
    assert data.load_test()[0].shape == (10, 1, 28, 28)


def test_only_what_is_missing_is_fetched(tmp_path, mirror):
    for name in FILE_NAMES[1:]:
        (raw(tmp_path) / name).write_bytes(PLAIN[name])
    SmallMNIST(tmp_path, mirrors=[mirror.address]).prepare_data()
    assert mirror.fetched == [f"/{FILE_NAMES[0]}.gz"]


def test_a_mirror_that_fails_or_gives_something_else_is_passed_over(tmp_path, mirror):
    with (
        serving(lambda request: request.give(None)) as empty,
        serving(lambda request: request.give(b"<html>")) as other,
    ):
        SmallMNIST(tmp_path, mirrors=[DEAD, empty.address, other.address, mirror.address]).prepare_data()
    assert {name: (raw(tmp_path) / name).read_bytes() for name in GZIPPED} == GZIPPED


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b[:-9] + b"x" + b[-8:], lambda b: b""])
def test_a_damaged_file_is_replaced_by_a_good_one(tmp_path, mirror, spoil):
    for name, content in GZIPPED.items():
        (raw(tmp_path) / name).write_bytes(content)
    bad = raw(tmp_path) / f"{FILE_NAMES[0]}.gz"
    bad.write_bytes(spoil(GZIPPED[bad.name]))
    SmallMNIST(tmp_path, mirrors=[mirror.address]).prepare_data()
    assert bad.read_bytes() == GZIPPED[bad.name]


def test_a_damaged_file_without_network_is_named_with_its_checksums_and_never_read(tmp_path):
    for name, content in GZIPPED.items():
        (raw(tmp_path) / name).write_bytes(content)
    bad = raw(tmp_path) / f"{FILE_NAMES[2]}.gz"
    bad.write_bytes(b"spoilt")
    data = SmallMNIST(tmp_path, mirrors=[DEAD])
    with pytest.raises(OSError, match="is damaged") as caught:
        data.prepare_data()
    assert str(bad) in str(caught.value)
    assert hashlib.md5(GZIPPED[bad.name]).hexdigest() in str(caught.value)
    assert hashlib.md5(b"spoilt").hexdigest() in str(caught.value)
    with pytest.raises(OSError, match="missing or damaged"):
        data.load_test()
    assert bad.read_bytes() == b"spoilt"


def test_without_files_and_network_it_does_not_wait_for_an_answer_and_says_what_to_do(tmp_path, monkeypatch):
    answer = threading.Event()  # never, as far as the test goes
    monkeypatch.setattr(SmallMNIST, "limits", Limits(answer=0.5))
    with serving(lambda request: answer.wait()) as silent, pytest.raises(OSError, match="none of 2 mirrors") as caught:
        SmallMNIST(tmp_path, mirrors=[DEAD, silent.address]).prepare_data()
    answer.set()
    for word in (str(raw(tmp_path)), f"{FILE_NAMES[0]}.gz", "LIT_DL_DATA_DIR", "data=digits", "data=spiral"):
        assert word in str(caught.value)
    assert silent.fetched == []


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "MNIST").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="MNIST"):
        SmallMNIST(tmp_path).prepare_data()


def test_another_data_set_is_fetched_into_its_own_folder_and_read(tmp_path, mirror):
    data = SmallFashion(tmp_path, mirrors=[mirror.address])
    data.prepare_data()
    data.setup()
    assert {path.name for path in raw(tmp_path, "FashionMNIST").glob("*.gz")} == set(GZIPPED)
    assert data.sizes() == {"train": 55, "val": 5, "test": 10}
    assert not (tmp_path / "MNIST").exists()


def test_plain_files_without_known_checksum_are_read_when_they_have_the_shape(tmp_path):
    for name, content in PLAIN.items():
        (raw(tmp_path, "FashionMNIST") / name).write_bytes(content)
    data = SmallFashion(tmp_path, mirrors=[DEAD])
    data.prepare_data()
    assert bytes(data.load_pool()[0].flatten().tolist()) == PLAIN[FILE_NAMES[0]][16:]
    assert bytes(data.load_test()[1].tolist()) == PLAIN[FILE_NAMES[3]][8:]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (FILE_NAMES[0], idx((60, 27, 28), bytes(60 * 27 * 28)), "shape expected 60x28x28, found 60x27x28"),
        (FILE_NAMES[1], idx((59,), bytes(59)), "shape expected 60, found 59"),
        (FILE_NAMES[3], idx((10,), bytes([*range(9), 10])), "labels expected from 0 to 9, found 10"),
        (FILE_NAMES[2], PLAIN[FILE_NAMES[2]][:-1], "needs 7840 values, found 7839"),
        (FILE_NAMES[2], b"<html>", "not an IDX file"),
    ],
    ids=["sides", "count", "label", "length", "page"],
)
def test_a_plain_file_that_is_something_else_is_named_or_replaced(tmp_path, mirror, name, content, words):
    folder = raw(tmp_path, "FashionMNIST")
    for other, right in {**PLAIN, name: content}.items():
        (folder / other).write_bytes(right)
    with pytest.raises(OSError, match=words) as caught:
        SmallFashion(tmp_path, mirrors=[DEAD]).prepare_data()
    assert f"{folder / name} is damaged" in str(caught.value)
    assert "FashionMNIST/raw" in str(caught.value)
    data = SmallFashion(tmp_path, mirrors=[mirror.address])
    data.prepare_data()
    assert mirror.fetched == [f"/{name}.gz"]
    assert (data.load_pool()[0].shape, data.load_test()[1].shape) == ((60, 1, 28, 28), (10,))


BAD = {
    "cut short": lambda content: content[: len(content) // 2],
    "altered": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "another magic number": lambda content: b"\x00\x00\x09" + content[3:],
    "too long": lambda content: content + b"\x00",
    "another count": lambda content: content[:7] + bytes([content[7] ^ 1]) + content[8:],
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
@pytest.mark.parametrize("is_plain_bad", [True, False])
def test_of_two_copies_the_good_one_is_read_and_nothing_is_fetched(tmp_path, spoil, is_plain_bad):
    for name in FILE_NAMES:
        plain, packed = PLAIN[name], GZIPPED[f"{name}.gz"]
        (raw(tmp_path) / name).write_bytes(spoil(plain) if is_plain_bad else plain)
        (raw(tmp_path) / f"{name}.gz").write_bytes(packed if is_plain_bad else spoil(packed))
    data = SmallMNIST(tmp_path, mirrors=[DEAD])
    data.prepare_data()
    assert bytes(data.load_pool()[0].flatten().tolist()) == PLAIN[FILE_NAMES[0]][16:]
    assert bytes(data.load_test()[1].tolist()) == PLAIN[FILE_NAMES[3]][8:]


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
@pytest.mark.parametrize(("kind", "files"), [(SmallMNIST, PLAIN), (SmallMNIST, GZIPPED), (SmallFashion, GZIPPED)])
def test_a_bad_file_is_named_with_what_to_do(tmp_path, kind, files, spoil):
    folder = raw(tmp_path, kind.folder_name)
    bad = next(iter(files))
    for name, content in {**files, bad: spoil(files[bad])}.items():
        (folder / name).write_bytes(content)
    with pytest.raises(OSError, match="is damaged: md5 expected") as caught:
        kind(tmp_path, mirrors=[DEAD]).prepare_data()
    for words in (f"{folder / bad} is damaged", f"Put good copies into {folder}: {FILE_NAMES[0]}.gz;", "data.root=DIR"):
        assert words in str(caught.value)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", [SmallMNIST, SmallFashion])
def test_a_file_far_too_long_is_named_and_not_read(tmp_path, kind, suffix):
    folder = raw(tmp_path, kind.folder_name)
    for name, content in GZIPPED.items():
        (folder / name).write_bytes(content)
    (folder / f"{FILE_NAMES[1]}.gz").unlink()
    with (folder / f"{FILE_NAMES[1]}{suffix}").open("wb") as file:
        file.truncate(10**9)  # a hole, which takes no room on most disks
    with pytest.raises(OSError, match=r"is damaged: it has 1,000,000,000 bytes, at most 1,092 are right"):
        kind(tmp_path, mirrors=[DEAD]).prepare_data()


UNPACKABLE = {
    "junk": b"\x1f\x8b\x08" + bytes(range(256)),
    "cut short": GZIPPED[f"{FILE_NAMES[0]}.gz"][:1000],
    "a length that lies": GZIPPED[f"{FILE_NAMES[0]}.gz"][:-4] + b"\xff\xff\xff\x7f",
    "40 MB of zeros": gzip.compress(PLAIN[FILE_NAMES[0]][:16] + bytes(4 * 10**7)),
    "no gzip": b"<html>",
    "another shape": gzip.compress(idx((60, 28, 27), bytes(60 * 28 * 27))),
    "no images": gzip.compress(b"text"),
}


@pytest.mark.parametrize("content", UNPACKABLE.values(), ids=UNPACKABLE)
def test_what_has_its_checksum_but_is_no_such_file_is_one_message_and_is_not_unpacked_whole(tmp_path, content):
    files = {**GZIPPED, f"{FILE_NAMES[0]}.gz": content}
    for name, each in files.items():
        (raw(tmp_path) / name).write_bytes(each)
    data = SmallMNIST(tmp_path, mirrors=[DEAD])
    data.gz_md5 = tuple(hashlib.md5(each).hexdigest() for each in files.values())
    tracemalloc.start()
    with pytest.raises(OSError, match=rf"{FILE_NAMES[0]}\.gz cannot be read: .* Put a good copy in its place"):
        data.load_pool()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 10**6


def test_a_folder_in_the_place_of_a_file_is_one_message(tmp_path, mirror):
    (raw(tmp_path) / f"{FILE_NAMES[0]}.gz").mkdir()
    with pytest.raises(OSError, match=rf"could not be fetched: .*{FILE_NAMES[0]}\.gz"):
        SmallMNIST(tmp_path, mirrors=[mirror.address]).prepare_data()
    assert not [path for path in raw(tmp_path).iterdir() if path.suffix == ".part"]
