"""The sweepers under the name by which Hydra takes plugins; its underscore keeps other programs from loading them."""

from lit_dl.study import OptunaSweeper
from lit_dl.sweep import GridSweeper

__all__ = ["GridSweeper", "OptunaSweeper"]
