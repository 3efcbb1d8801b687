"""What tests of data share."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def unprivileged():
    """A folder in which permissions count: root, who may do anything, becomes nobody."""
    if not hasattr(os, "geteuid"):
        pytest.skip("no POSIX permissions here")
    with TemporaryDirectory() as folder:  # nobody cannot get to that of pytest
        Path(folder).chmod(0o777)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        yield Path(folder)
        if was_root:
            os.seteuid(0)
