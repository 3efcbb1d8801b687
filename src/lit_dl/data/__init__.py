"""Data sets as LightningDataModules."""

from lit_dl.data.digits import Digits
from lit_dl.data.kfold import KFold
from lit_dl.data.mnist import MNIST
from lit_dl.data.spiral import Spiral

__all__ = ["MNIST", "Digits", "KFold", "Spiral"]
