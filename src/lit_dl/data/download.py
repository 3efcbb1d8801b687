"""Fetching files from mirrors: verified, atomic, and with limits on time and size."""

import hashlib
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from lit_dl.data.web import Arrival, Limits, MirrorError, ask
from lit_dl.records import replacing


class Wanted(NamedTuple):
    """A file to fetch."""

    name: str
    md5: str
    most: int  # bytes that it can have


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file's content.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def fetch(files: Sequence[Wanted], mirrors: Sequence[str], folder: Path, limits: Limits) -> None:
    """Download files into ``folder``, each from the first mirror that gives it with the right checksum.

    A file appears under its name only when it is whole and right, and replaces what had that name. Shows a progress
    bar on a terminal.

    Args:
        files: at least one.
        mirrors: addresses that end in a slash, to which the file name is added.
        folder: must exist, and the caller must be the only one who fetches into it: what a killed one left is removed.
        limits: of a mirror.

    Raises:
        ConnectionError: when no mirror answers, or none gives the file; the message says what each one did.
        OSError: when the folder cannot be written.
    """
    problems: dict[str, str] = {}
    live = _answering(mirrors, files[0].name, limits.answer, problems)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as progress:
        for file in files:
            for left in folder.glob(f".{file.name}.*.part"):
                left.unlink()
            _fetch_from_any(live, file, folder, limits, progress, problems)


def _answering(mirrors: Sequence[str], name: str, seconds: float, problems: dict[str, str]) -> list[str]:
    """The mirrors that answer in time, in the order given; what the others did is added to ``problems``.

    Asked all at once and in daemon threads, since looking up a name can hang far longer than a socket's time limit.
    """
    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()  # mirror, and its error or ""

    def put_answer(mirror: str) -> None:
        answers.put((mirror, ask(mirror + name, seconds)))

    for mirror in mirrors:
        threading.Thread(target=put_answer, args=(mirror,), daemon=True).start()
    errors: dict[str, str] = {}
    deadline = time.monotonic() + seconds
    while len(errors) < len(mirrors) and "" not in errors.values():
        try:
            mirror, error = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        errors[mirror] = error
    problems.update({mirror: errors.get(mirror, "no answer") for mirror in mirrors if errors.get(mirror) != ""})
    quick = [mirror for mirror in mirrors if errors.get(mirror) == ""]
    if not quick:
        raise ConnectionError(f"none of {len(mirrors)} mirrors answered within {seconds:g} s ({_told(problems)})")
    return quick + [mirror for mirror in mirrors if mirror not in errors]  # the slow ones may serve as a reserve


def _fetch_from_any(
    live: list[str], file: Wanted, folder: Path, limits: Limits, progress: Progress, problems: dict[str, str]
) -> None:
    """Fetch a file from the first of the mirrors that gives it; those that do not are the last to be asked again."""
    for mirror in list(live):
        try:
            return _fetch_one(mirror, file, folder, limits, progress)
        except MirrorError as error:
            problems[mirror] = str(error)
            live.remove(mirror)
            live.append(mirror)
    raise ConnectionError(f"no mirror gave {file.name} ({_told(problems)})")


def _told(problems: dict[str, str]) -> str:
    return "; ".join(f"{mirror}: {problem}" for mirror, problem in problems.items())


def _fetch_one(mirror: str, file: Wanted, folder: Path, limits: Limits, progress: Progress) -> None:
    task = progress.add_task(file.name, total=None)
    digest, count, begin = hashlib.md5(usedforsecurity=False), 0, b""
    arrival = Arrival(mirror + file.name, file.most, limits)
    try:
        with replacing(folder / file.name) as part:
            with part.open("wb") as stream, closing(arrival.pieces()) as pieces:
                for chunk in pieces:
                    stream.write(chunk)
                    digest.update(chunk)
                    count, begin = count + len(chunk), begin or chunk[:16]
                    progress.update(task, total=arrival.length, completed=count)
            if digest.hexdigest() != file.md5:
                raise MirrorError(
                    f"md5 expected {file.md5}, found {digest.hexdigest()} in {count:,} bytes that begin with {begin!r}"
                )
    except MirrorError:
        progress.remove_task(task)
        raise
