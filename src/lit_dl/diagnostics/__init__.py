"""Measures and rules: what is seen of a training, and what is wrong with it. torch alone, no Lightning.

``GradientMonitor``, which uses them while a Trainer runs, lives in ``lit_dl.callbacks`` and is found here too.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """The monitor, by its old name; imported only now, so that nothing here depends on Lightning."""
    if name != "GradientMonitor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("lit_dl.callbacks.gradient_monitor").GradientMonitor
