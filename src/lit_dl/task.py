"""The tasks under the name that they had in 0.1.0; they live in ``lit_dl.tasks``."""

from lit_dl.tasks.supervised import Classifier, Regressor
from lit_dl.tasks.supervised import SupervisedTask as Task

__all__ = ["Classifier", "Regressor", "Task"]
