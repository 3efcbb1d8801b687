"""The sweepers under the name by which Hydra takes plugins; its underscore keeps other programs from loading them."""

from lit_dl.sweeps.grid import GridSweeper
from lit_dl.sweeps.optuna import OptunaSweeper

__all__ = ["GridSweeper", "OptunaSweeper"]
