"""What a result depends on beside the config."""

import subprocess
import sys
from pathlib import Path

import pytest

from lit_dl import records
from lit_dl.records.environment import _git_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.skipif(not (Path(__file__).parents[2] / ".git").exists(), reason="this is no clone")
@pytest.mark.parametrize(("code", "commit"), [(0, COMMIT), (1, None)])
def test_git_may_complain_in_any_encoding(monkeypatch, code, commit):
    """As it does in the language of the system, which Windows writes in an encoding of its own."""
    complain = f"import sys; sys.stderr.buffer.write(b'\\xff\\xfe'); print('{COMMIT}'); sys.exit({code})"
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda _, **options: run([sys.executable, "-c", complain], **options))
    _git_commit.cache_clear()
    assert records.describe_environment("cpu")["git_commit"] == commit
    _git_commit.cache_clear()
