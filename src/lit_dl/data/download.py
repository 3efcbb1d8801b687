"""Fetching files from mirrors: verified, atomic, with limits on time, and safe for two runs that start together."""

import hashlib
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.request import Request, urlopen

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from lit_dl.records import replacing

ANSWER_SECONDS = 5.0  # for the first answer of any mirror; with the imports, a run without network ends within 15 s
STALL_SECONDS = 15.0  # without a byte, after which the next mirror is tried
FILE_SECONDS = 600.0  # for one whole file; 10 MB at 17 kB/s
CHUNK = 1 << 16  # bytes read at a time


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file's content.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def fetch(checksums: Mapping[str, str], mirrors: Sequence[str], folder: Path) -> None:
    """Download files into ``folder``, each from the first mirror that gives it with the right checksum.

    A file appears under its name only when it is whole and right, and replaces what had that name. Shows a progress
    bar on a terminal.

    Args:
        checksums: MD5 by file name.
        mirrors: addresses that end in a slash, to which the file name is added.
        folder: must exist.

    Raises:
        ConnectionError: when no mirror answers, or none gives the file; the message says what each one did.
        OSError: when the folder cannot be written.
    """
    live = _answering(mirrors, next(iter(checksums)))
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as progress:
        for name, md5 in checksums.items():
            _fetch_from_any(live, name, md5, folder, progress)


def _answering(mirrors: Sequence[str], name: str) -> list[str]:
    """The mirrors that answer in time, in the order given.

    Asked all at once and in daemon threads, since looking up a name can hang far longer than a socket's time limit.
    """
    answers: queue.Queue[tuple[str, str]] = queue.Queue()  # mirror, and its error or ""

    def ask(mirror: str) -> None:
        try:
            urlopen(Request(mirror + name, method="HEAD"), timeout=ANSWER_SECONDS).close()
            answers.put((mirror, ""))
        except (OSError, ValueError) as error:
            answers.put((mirror, str(error)))

    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    errors: dict[str, str] = {}
    deadline = time.monotonic() + ANSWER_SECONDS
    while len(errors) < len(mirrors) and "" not in errors.values():
        try:
            mirror, error = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        errors[mirror] = error
    quick = [mirror for mirror in mirrors if errors.get(mirror) == ""]
    if not quick:
        said = "; ".join(dict.fromkeys(errors.get(mirror, "no answer") for mirror in mirrors))
        raise ConnectionError(f"none of {len(mirrors)} mirrors answered within {ANSWER_SECONDS:g} s ({said})")
    return quick + [mirror for mirror in mirrors if mirror not in errors]  # the slow ones may serve as a reserve


def _fetch_from_any(mirrors: Sequence[str], name: str, md5: str, folder: Path, progress: Progress) -> None:
    problems = []
    for mirror in mirrors:
        try:
            return _fetch_one(mirror + name, md5, folder / name, progress)
        except PermissionError:
            raise
        except (OSError, ValueError) as error:
            problems.append(f"{mirror}: {error}")
    raise ConnectionError(f"no mirror gave {name} ({'; '.join(problems)})")


def _fetch_one(url: str, md5: str, target: Path, progress: Progress) -> None:
    task = progress.add_task(target.name, total=None)
    deadline = time.monotonic() + FILE_SECONDS
    digest = hashlib.md5(usedforsecurity=False)
    with replacing(target) as part:
        with urlopen(url, timeout=STALL_SECONDS) as response, part.open("wb") as file:
            progress.update(task, total=response.length)
            while chunk := response.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                progress.advance(task, len(chunk))
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not finished within {FILE_SECONDS:g} s")
        if digest.hexdigest() != md5:
            raise ValueError(f"md5 expected {md5}, found {digest.hexdigest()}")
