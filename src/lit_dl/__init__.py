"""lit_dl: see how neural networks train.

Commands: ``python -m lit_dl.train``, ``lit_dl.report``, ``lit_dl.export``, ``lit_dl.hardware``. In a notebook or in
your own project the names below take plain arguments and need no config; each is imported when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_dl.callbacks.gradient_monitor import GradientMonitor as GradientMonitor
    from lit_dl.data import KMNIST as KMNIST
    from lit_dl.data import MNIST as MNIST
    from lit_dl.data import Arrays as Arrays
    from lit_dl.data import Digits as Digits
    from lit_dl.data import FashionMNIST as FashionMNIST
    from lit_dl.data import KFold as KFold
    from lit_dl.data import QuickDraw as QuickDraw
    from lit_dl.data import RandomRegression as RandomRegression
    from lit_dl.data import Spiral as Spiral
    from lit_dl.models import CNN as CNN
    from lit_dl.models import MLP as MLP
    from lit_dl.tasks.supervised import Classifier as Classifier
    from lit_dl.tasks.supervised import Regressor as Regressor

__version__ = version("lit_dl")

_HOMES = {
    "GradientMonitor": "lit_dl.callbacks.gradient_monitor",
    **dict.fromkeys(("Classifier", "Regressor"), "lit_dl.tasks.supervised"),
    **dict.fromkeys(("CNN", "MLP"), "lit_dl.models"),
    **dict.fromkeys(
        ("Arrays", "Digits", "FashionMNIST", "KFold", "KMNIST", "MNIST", "QuickDraw", "RandomRegression", "Spiral"),
        "lit_dl.data",
    ),
}

__all__ = [*_HOMES, "__version__"]  # all of them are strings


def __getattr__(name: str) -> Any:
    """A public name, imported now: torch and Lightning take seconds, and many who import lit_dl need neither."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
