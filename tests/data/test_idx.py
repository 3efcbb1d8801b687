"""The IDX reader, and where files are found, fetched and refused."""

import gzip
import hashlib
import http.server
import multiprocessing
import struct
import threading
import time

import pytest
import torch

from lit_dl.data import MNIST, FashionMNIST, download
from lit_dl.data.idx import FILE_NAMES, read_idx


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    return b"\x00\x00\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values


def digits(seed: int, count: int) -> tuple[bytes, bytes]:
    """IDX files of random 28x28 images and of labels."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count * 784,), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (count,), generator=generator, dtype=torch.uint8)
    return idx((count, 28, 28), bytes(pixels.tolist())), idx((count,), bytes(labels.tolist()))


PLAIN = dict(zip(FILE_NAMES, (*digits(0, 60), *digits(1, 10)), strict=True))
GZIPPED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in PLAIN.items()}


def md5s(files: dict[str, bytes]) -> tuple[str, ...]:
    return tuple(hashlib.md5(content).hexdigest() for content in files.values())


class SmallMNIST(MNIST):
    """MNIST with 60 and 10 images of noise, whose checksums are known."""

    counts, gz_md5, plain_md5 = (60, 10), md5s(GZIPPED), md5s(PLAIN)


class SmallFashion(FashionMNIST):
    """The same files as another data set, of which the checksums of the gzipped ones alone are known."""

    counts, gz_md5 = (60, 10), md5s(GZIPPED)


class Mirror(http.server.ThreadingHTTPServer):
    """Serves ``files`` on 127.0.0.1 and counts what was fetched."""

    def __init__(self, files: dict[str, bytes], delay: float = 0.0) -> None:
        self.files, self.delay, self.fetched = files, delay, []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer(with_content=False)

    def do_GET(self):
        self.server.fetched.append(self.path)
        time.sleep(self.server.delay)
        self.answer(with_content=True)

    def answer(self, with_content: bool):
        content = self.server.files.get(self.path.strip("/"))
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if with_content and content is not None:
            self.wfile.write(content)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def mirror():
    server = Mirror(GZIPPED)
    yield server
    server.shutdown()
    server.server_close()


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
    data = SmallMNIST(tmp_path, mirrors=["http://127.0.0.1:9/"])
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
    dead, empty, altered = "http://127.0.0.1:9/", Mirror({}), Mirror(dict.fromkeys(GZIPPED, b"<html>"))
    SmallMNIST(tmp_path, mirrors=[dead, empty.address, altered.address, mirror.address]).prepare_data()
    assert {name: (raw(tmp_path) / name).read_bytes() for name in GZIPPED} == GZIPPED
    for server in (empty, altered):
        server.shutdown()
        server.server_close()


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
    data = SmallMNIST(tmp_path, mirrors=["http://127.0.0.1:9/"])
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
    silent = Mirror({})
    monkeypatch.setattr(Handler, "do_HEAD", lambda self: answer.wait())
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.5)
    with pytest.raises(OSError, match="none of 2 mirrors answered") as caught:
        SmallMNIST(tmp_path, mirrors=["http://127.0.0.1:9/", silent.address]).prepare_data()
    answer.set()
    for word in (str(raw(tmp_path)), f"{FILE_NAMES[0]}.gz", "LIT_DL_DATA_DIR", "data=digits", "data=spiral"):
        assert word in str(caught.value)
    assert silent.fetched == []
    silent.shutdown()
    silent.server_close()


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "MNIST").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="MNIST"):
        SmallMNIST(tmp_path).prepare_data()


def prepare(root, address):
    SmallMNIST(root, mirrors=[address]).prepare_data()


@pytest.mark.run
def test_of_two_runs_that_start_together_one_fetches(tmp_path):
    server = Mirror(GZIPPED, delay=0.3)
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=prepare, args=(tmp_path, server.address)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    assert sorted(server.fetched) == sorted(f"/{name}" for name in GZIPPED)
    server.shutdown()
    server.server_close()


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
    data = SmallFashion(tmp_path, mirrors=["http://127.0.0.1:9/"])
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
        SmallFashion(tmp_path, mirrors=["http://127.0.0.1:9/"]).prepare_data()
    assert f"{folder / name} is damaged" in str(caught.value)
    assert "FashionMNIST/raw" in str(caught.value)
    data = SmallFashion(tmp_path, mirrors=[mirror.address])
    data.prepare_data()
    assert mirror.fetched == [f"/{name}.gz"]
    assert (data.load_pool()[0].shape, data.load_test()[1].shape) == ((60, 1, 28, 28), (10,))
