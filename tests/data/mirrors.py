"""Small files of MNIST's form, data sets that know their checksums, and servers that give them, or something else."""

import gzip
import hashlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import torch

from lit_dl.data import KMNIST, MNIST, FashionMNIST
from lit_dl.data.idx import FILE_NAMES


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
DEAD = "http://127.0.0.1:9/"  # nobody listens at this port


def md5s(files: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(hashlib.md5(content).hexdigest() for content in files.values())


class SmallMNIST(MNIST):
    """MNIST with 60 and 10 images of noise, whose checksums are known."""

    counts, gz_md5, plain_md5 = (60, 10), md5s(GZIPPED), md5s(PLAIN)


class SmallFashion(FashionMNIST):
    """The same files as another data set, of which the checksums of the gzipped ones alone are known."""

    counts, gz_md5 = (60, 10), md5s(GZIPPED)


class SmallKMNIST(KMNIST):
    """And as a third one."""

    counts, gz_md5 = (60, 10), md5s(GZIPPED)


class Request:
    """One request of a client: what it asks for, and the connection to answer it on."""

    def __init__(self, connection: socket.socket, method: str, path: str) -> None:
        self.connection = connection
        self.method = method
        self.path = path
        self.name = path.rsplit("/", 1)[-1]

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def begin(self, status: str = "200 OK", **headers: object) -> None:
        """The status line and the headers."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode("latin1"))

    def drip(self, content: Iterator[bytes], seconds: float) -> None:
        """One piece after the other, until there are no more or the client has gone."""
        for piece in content:
            self.send(piece)
            time.sleep(seconds)

    def give(self, content: bytes | None) -> None:
        """The content, with its length, or 404."""
        self.begin("404 Not Found" if content is None else "200 OK", Content_Length=len(content or b""))
        if self.method == "GET":
            self.send(content or b"")


Answer = Callable[[Request], None]


def give_right(request: Request) -> None:
    """What a good mirror does."""
    request.give(GZIPPED.get(request.name))


class Mirror(socketserver.ThreadingTCPServer):
    """A server on 127.0.0.1 that answers as it is told to, and counts what was fetched."""

    daemon_threads, block_on_close, allow_reuse_address = True, False, True

    def __init__(self, answer: Answer = give_right) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.answer = answer
        self.fetched: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}/"


class Connection(socketserver.StreamRequestHandler):
    """Reads one request and has it answered."""

    server: Mirror

    def handle(self) -> None:
        method, path, *_ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass  # headers
        if method == "GET":
            self.server.fetched.append(path)
        with suppress(OSError):  # the client has gone
            self.server.answer(Request(self.connection, method, path))


@contextmanager
def serving(answer: Answer = give_right) -> Iterator[Mirror]:
    """A mirror that serves while the block lasts."""
    with Mirror(answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def but_for_head(answer: Answer) -> Answer:
    """The same to GET; to HEAD that the file is there."""
    return lambda request: give_right(request) if request.method == "HEAD" else answer(request)
