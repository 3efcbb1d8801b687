"""Replacing a file that somebody else has open: on Windows that is refused until it is closed."""

import time
from collections.abc import Callable

PAUSES = (0.01, 0.03, 0.1, 0.3, 1.0)  # seconds between tries; a reader or a virus scanner is done long before


def patiently(action: Callable[[], None]) -> None:
    """Do what Windows refuses while another process has the file open, and try again for a second and a half.

    Raises:
        PermissionError: if it is still refused then.
    """
    for pause in PAUSES:
        try:
            return action()
        except PermissionError:
            time.sleep(pause)
    return action()
