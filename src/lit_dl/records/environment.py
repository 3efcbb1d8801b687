"""What a result depends on beside the config: versions, machine, threads, device, git commit of lit_dl's source."""

import functools
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("lit_dl", "torch", "lightning", "hydra-core", "torchmetrics", "tensorboard", "scikit-learn")


def describe_environment(device: str) -> dict[str, Any]:
    """Primitives, for a record.

    Args:
        device: on which the run was.
    """
    return {
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),  # sums in another number of threads round otherwise
        "device": device,
        "git_commit": _git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@functools.cache  # what runs is the source as it was loaded, whatever is committed meanwhile
def _git_commit() -> str | None:
    """Of the checkout that this file belongs to, with ``-dirty`` when files differ from it; None when installed."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, timeout=5, check=True).stdout.decode().strip()
    except (OSError, subprocess.SubprocessError):
        return None
