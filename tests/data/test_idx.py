"""The IDX reader, and where MNIST is found, fetched and refused."""

import gzip
import hashlib
import http.server
import multiprocessing
import struct
import threading
import time

import pytest
import torch

from lit_dl.data import MNIST, download
from lit_dl.data.mnist import IDXFile, read_idx


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    return b"\x00\x00\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values


def digits(seed: int, count: int) -> tuple[bytes, bytes]:
    """IDX files of random 28x28 images and of labels."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count * 784,), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (count,), generator=generator, dtype=torch.uint8)
    return idx((count, 28, 28), bytes(pixels.tolist())), idx((count,), bytes(labels.tolist()))


NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PLAIN = dict(zip(NAMES, (*digits(0, 60), *digits(1, 10)), strict=True))
GZIPPED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in PLAIN.items()}


class SmallMNIST(MNIST):
    """MNIST with 60 and 10 images of noise, whose checksums are known."""

    pool_files = tuple(
        IDXFile(n, hashlib.md5(GZIPPED[f"{n}.gz"]).hexdigest(), hashlib.md5(PLAIN[n]).hexdigest()) for n in NAMES[:2]
    )
    test_files = tuple(
        IDXFile(n, hashlib.md5(GZIPPED[f"{n}.gz"]).hexdigest(), hashlib.md5(PLAIN[n]).hexdigest()) for n in NAMES[2:]
    )


class Mirror(http.server.ThreadingHTTPServer):
    """Serves ``files`` on 127.0.0.1 and counts what was fetched."""

    def __init__(self, files: dict[str, bytes], delay: float = 0.0) -> None:
        self.files, self.delay, self.fetched = files, delay, []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
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


def raw(root):
    folder = root / "MNIST" / "raw"
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
    assert bytes(images.flatten().tolist()) == PLAIN[NAMES[0]][16:]
    assert bytes(labels.tolist()) == PLAIN[NAMES[1]][8:]
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
    for name in NAMES[1:]:
        (raw(tmp_path) / name).write_bytes(PLAIN[name])
    SmallMNIST(tmp_path, mirrors=[mirror.address]).prepare_data()
    assert mirror.fetched == [f"/{NAMES[0]}.gz"]


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
    bad = raw(tmp_path) / f"{NAMES[0]}.gz"
    bad.write_bytes(spoil(GZIPPED[bad.name]))
    SmallMNIST(tmp_path, mirrors=[mirror.address]).prepare_data()
    assert bad.read_bytes() == GZIPPED[bad.name]


def test_a_damaged_file_without_network_is_named_with_its_checksums_and_never_read(tmp_path):
    for name, content in GZIPPED.items():
        (raw(tmp_path) / name).write_bytes(content)
    bad = raw(tmp_path) / f"{NAMES[2]}.gz"
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


def test_without_files_and_network_it_ends_within_seconds_and_says_what_to_do(tmp_path, monkeypatch):
    silent = Mirror({}, delay=60)
    monkeypatch.setattr(Handler, "do_HEAD", lambda self: time.sleep(60))
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.5)
    begun = time.monotonic()
    with pytest.raises(OSError, match="none of 2 mirrors answered") as caught:
        SmallMNIST(tmp_path, mirrors=["http://127.0.0.1:9/", silent.address]).prepare_data()
    assert time.monotonic() - begun < 5
    for word in (str(raw(tmp_path)), f"{NAMES[0]}.gz", "LIT_DL_DATA_DIR", "data=digits", "data=spiral"):
        assert word in str(caught.value)
    silent.server_close()


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "MNIST").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="MNIST"):
        SmallMNIST(tmp_path).prepare_data()


def prepare(root, address):
    SmallMNIST(root, mirrors=[address]).prepare_data()


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


def test_the_official_files_have_the_official_sizes(mnist_root):
    data = MNIST(mnist_root)
    data.prepare_data()
    data.setup()
    assert data.sizes() == {"train": 55000, "val": 5000, "test": 10000}
    images, labels = data.load_pool()
    assert images.shape == (60000, 1, 28, 28)
    assert labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # LeCun's counts
    assert images.float().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)  # as torchvision's examples give it
