"""The one place where this process itself is changed: its arguments, variables, signals and logging."""

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lit_dl import records
from lit_dl.cli.resume import KEEP_HYDRA_FOLDER
from lit_dl.console import console, log
from lit_dl.errors import wrong_count

MOST_THREADS = 1024  # more than a machine has cores; a million would crash it
WATCH_SECONDS = 0.5  # between two looks for a process
SYNCHRONIZE, FOR_EVER = 0x00100000, 0xFFFFFFFF  # Windows: the right to wait for a process, and for how long


@contextmanager
def process_put_back() -> Iterator[None]:
    """Let a block change ``sys.argv``, environment variables, SIGINT, SIGTERM and ``logging.raiseExceptions``.

    Only what differs at its end is put back: a variable that stays as it was is never absent, not even for a moment.
    """
    arguments, variables = list(sys.argv), dict(os.environ)
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    raises = logging.raiseExceptions
    try:
        yield
    finally:
        sys.argv[:] = arguments
        _put_back(variables)
        for number, handler in signals.items():
            _put_back_signal(number, handler)
        logging.raiseExceptions = raises


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait for nothing in a block that has to be whole: they are not heard."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            _put_back_signal(number, handler)


@contextmanager
def using_threads(count: Any) -> Iterator[None]:
    """For a while, let torch compute in ``count`` threads, as ``OMP_NUM_THREADS`` would, in any shell and any process.

    None, or what is no number of threads, leaves it as it is. The variable, for the processes that this one starts and
    for the record, is put back by ``process_put_back``.
    """
    if wrong_count(count, most=MOST_THREADS):
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wait_for_end_of(parent: int) -> None:
    """Return once the process that started this one has ended.

    Args:
        parent: the number of that process.
    """
    if sys.platform != "win32":
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        return
    import ctypes  # as os.getppid there gives the number of a process that has long ended

    system = ctypes.WinDLL("kernel32")
    system.OpenProcess.restype = ctypes.c_void_p
    system.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    if handle := system.OpenProcess(SYNCHRONIZE, False, parent):
        system.WaitForSingleObject(handle, FOR_EVER)


def _put_back(variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name not in variables]:
        del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _put_back_signal(number: signal.Signals, handler: Any) -> None:
    can_set = threading.current_thread() is threading.main_thread() and handler is not None  # None: set in C
    if can_set and signal.getsignal(number) is not handler:
        signal.signal(number, handler)


@contextmanager
def place_of(arguments: Sequence[str]) -> Iterator[list[str]]:
    """What to add to a command's arguments in one of a run's processes: nothing in the first.

    Where torchrun or srun starts several, each has the same arguments and a clock of its own, so the first alone names,
    makes and locks the run folder. The others need none: they get a folder that is removed, print nothing and log only
    what goes wrong. Those that Lightning starts, and those of a run that is resumed, have been given the run folder.
    """
    if records.is_first():
        yield []
        return
    quiet, level = console.quiet, log.level
    console.quiet = True
    log.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(prefix="lit_dl_", ignore_cleanup_errors=True) as folder:
            place = [f"hydra.run.dir='{folder}'", KEEP_HYDRA_FOLDER]
            yield [] if KEEP_HYDRA_FOLDER in arguments else place
    finally:
        console.quiet = quiet
        log.setLevel(level)
