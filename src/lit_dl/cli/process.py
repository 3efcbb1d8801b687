"""The one place where this process itself is changed: its arguments, variables, signals and logging."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
