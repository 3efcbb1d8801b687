"""Bytes from an address, in a bounded time, whatever the server does."""

import queue
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from http.client import HTTPMessage
from typing import IO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from lit_dl.errors import one_line

CHUNK = 1 << 16  # bytes read at a time
LEAST = 1 << 14  # bytes that have to come in Limits.stall; in 15 s that is 1 kB/s, below which nobody waits for a file


class Limits(NamedTuple):
    """Seconds that a mirror has."""

    answer: float = 5.0  # for the first answer of any; with the imports, a run without network ends within 15 s
    stall: float = 15.0  # for the next LEAST bytes, after which the next mirror is tried
    file: float = 600.0  # for one whole file; 10 MB at 17 kB/s


class MirrorError(Exception):
    """A server did not give what it was asked for; the message is one line."""


class _Redirects(HTTPRedirectHandler):
    """Follows to the same scheme or to https, ten times at most; never to a file, to FTP, or from https to http."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in (req.type, "https"):
            raise HTTPError(newurl, code, f"redirected to {newurl}, which is not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """Urllib's without its handlers of ``file:``, ``ftp:`` and ``data:``."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(), UnknownHandler(), HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), _Redirects(),
        HTTPErrorProcessor(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


class Arrival:
    """The content of an address, as it comes.

    A thread of its own asks for it and reads it, since no time limit of a socket holds while a name is looked up or a
    header comes byte by byte. When time is up the thread is left to itself, and ends at its next byte or with the
    process.

    Args:
        url: an address of http or https.
        most: bytes that there can be; more are not read.
        limits: seconds to wait.
    """

    def __init__(self, url: str, most: int, limits: Limits) -> None:
        self.url = url
        self.most = most
        self.limits = limits
        self.length: int | None = None  # that the server promised, once the first bytes are there
        self._arrived: queue.SimpleQueue[bytes | MirrorError] = queue.SimpleQueue()  # b"" is the end
        self._given_up = threading.Event()

    def pieces(self) -> Generator[bytes, None, None]:
        """The content in pieces, a generator, which is to be closed by whoever does not read all.

        Raises:
            MirrorError: if it does not come, not in time, not whole, or if there is more than expected.
        """
        threading.Thread(target=self._read, daemon=True).start()
        try:
            yield from self._in_time()
        finally:
            self._given_up.set()

    def _in_time(self) -> Generator[bytes, None, None]:
        begun = time.monotonic()
        count, goal, due = 0, LEAST, begun + self.limits.stall
        while chunk := self._next(min(due, begun + self.limits.file) - time.monotonic()):
            if isinstance(chunk, MirrorError):
                raise chunk
            yield chunk
            count += len(chunk)
            if count >= goal:
                goal, due = count + LEAST, time.monotonic() + self.limits.stall
        if chunk is None:
            raise MirrorError(f"too slow: {count:,} bytes in {time.monotonic() - begun:.0f} s")
        if self.length is not None and count < self.length:
            raise MirrorError(f"it broke off after {count:,} of {self.length:,} bytes")

    def _next(self, seconds: float) -> bytes | MirrorError | None:
        """What comes within ``seconds``; None if nothing does, or if no time is left."""
        with suppress(queue.Empty):
            return self._arrived.get(timeout=seconds) if seconds > 0 else None
        return None

    def _read(self) -> None:
        try:
            with _opener().open(self.url, timeout=2 * self.limits.stall) as response:
                self._pass_on(response)
        except Exception as error:  # whatever it is: the one who waits has to hear of it
            self._arrived.put(MirrorError(reason(error)))

    def _pass_on(self, response: "IO[bytes]") -> None:
        self.length = response.length  # type: ignore[attr-defined]  # it is an HTTPResponse
        count = 0
        while not self._given_up.is_set() and max(count, self.length or 0) <= self.most:
            chunk = response.read1(CHUNK)  # type: ignore[attr-defined]  # what is there, without waiting for more
            self._arrived.put(chunk)
            count += len(chunk)
            if not chunk:
                return
        raise MirrorError(f"it gives {max(count, self.length or 0):,} bytes or more, at most {self.most:,} are right")


def ask(url: str, seconds: float) -> str:
    """What a server answers when it is asked whether it has ``url``: nothing if it has, else the reason, in a line."""
    try:
        _opener().open(Request(url, method="HEAD"), timeout=seconds).close()
    except Exception as error:  # in a thread, whose stack trace would stand beside the message
        return reason(error)
    return ""


def reason(error: Exception) -> str:
    """What went wrong, in one line, since a server may word it."""
    text = str(error.reason) if isinstance(error, URLError) and not isinstance(error, HTTPError) else str(error)
    if isinstance(error, HTTPError):
        error.close()
    return one_line(text or type(error).__name__)
