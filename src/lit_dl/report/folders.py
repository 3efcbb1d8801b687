"""Where runs are: folders walked down, also those of strangers, in which anything may lie."""

import os
from collections.abc import Iterator
from pathlib import Path

from lit_dl import records

MOST_DEEP = 30  # folders in each other; a job lies four below outputs


class Walk:
    """The way down to runs.

    Attributes:
        sweeps: those that were passed, by folder.
        skipped: what could not be read, with the reason, a line each.
    """

    def __init__(self) -> None:
        self.sweeps: dict[Path, records.SweepRecord] = {}
        self.skipped: list[str] = []
        self._seen: set[tuple[int, int]] = set()  # folders of this walk: links may lead round in a circle

    def down(self, top: Path) -> Iterator[Path]:
        """Folders with a run at or below ``top``; the jobs of a sweep in their order, also those that did not begin."""
        self._seen = set()
        self._is_new(top)
        yield from self._down(top, MOST_DEEP)

    def _down(self, folder: Path, depth: int) -> Iterator[Path]:
        if _is_run(folder):
            yield folder
            return
        planned = self._planned(folder)
        yield from (folder / name for name in planned)
        for below in self._folders_in(folder):
            if below.name in planned:
                continue
            if depth == 0:
                self.skipped.append(f"{below}: deeper than {MOST_DEEP} folders")
                continue
            before = len(self.skipped)
            inside = list(self._down(below, depth - 1))
            if planned and not inside and len(self.skipped) == before:
                self.skipped.append(f"{below}: no run of this sweep")
            yield from inside

    def _planned(self, folder: Path) -> list[str]:
        """The jobs, if it is the folder of a sweep."""
        if not os.path.lexists(folder / records.SWEEP_FILE):
            return []
        try:
            self.sweeps[folder] = records.read_sweep(folder)
        except ValueError as error:
            self.skipped.append(str(error))
            return []
        return list(self.sweeps[folder].jobs)

    def _folders_in(self, folder: Path) -> list[Path]:
        """Those that are not hidden and were not passed yet, by name."""
        if not os.path.isdir(folder):  # noqa: PTH112  # Path's raises where a folder may not be looked into
            return []
        try:
            names = sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208  # names alone
            return [folder / name for name in names if self._is_new(folder / name)]
        except OSError as error:
            self.skipped.append(f"{folder}: {error.strerror}")
            return []

    def _is_new(self, path: Path) -> bool:
        if not os.path.isdir(path):  # noqa: PTH112  # as above
            return False
        status = path.stat()
        known = (status.st_dev, status.st_ino) in self._seen
        self._seen.add((status.st_dev, status.st_ino))
        return not known


def _is_run(folder: Path) -> bool:
    """Whether a run was there, also if its files are damaged."""
    files = (records.METRICS_FILE, Path(records.HYDRA_FOLDER) / "config.yaml")
    return any(os.path.lexists(folder / file) for file in files)
