"""lit_dl: see how neural networks train.

Commands: ``python -m lit_dl.train``, ``lit_dl.report``, ``lit_dl.export``, ``lit_dl.hardware``. In a notebook or in
your own project the names below take plain arguments and need no config; each is imported when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_dl.callbacks.gradient_monitor import GradientMonitor as GradientMonitor
    from lit_dl.data import *  # noqa: F403  # all data sets
    from lit_dl.models import CNN as CNN
    from lit_dl.models import MLP as MLP
    from lit_dl.tasks.supervised import Classifier as Classifier
    from lit_dl.tasks.supervised import Regressor as Regressor

__version__ = version("lit_dl")

_HOMES = {
    "GradientMonitor": "lit_dl.callbacks.gradient_monitor",
    "Classifier": "lit_dl.tasks.supervised",
    "Regressor": "lit_dl.tasks.supervised",
    "CNN": "lit_dl.models",
    "MLP": "lit_dl.models",
}


def __getattr__(name: str) -> Any:
    """A public name, imported now: torch and Lightning take seconds, and many who import lit_dl need neither."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name[:1].isupper() and name in (data := import_module("lit_dl.data")).__all__:
        return getattr(data, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *import_module("lit_dl.data").__all__})
