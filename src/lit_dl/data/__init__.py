"""Data sets as LightningDataModules."""

from lit_dl.data.arrays import Arrays
from lit_dl.data.digits import Digits
from lit_dl.data.kfold import KFold
from lit_dl.data.mnist import KMNIST, MNIST, FashionMNIST
from lit_dl.data.none import NoData
from lit_dl.data.quickdraw import QuickDraw
from lit_dl.data.regression import RandomRegression
from lit_dl.data.spiral import Spiral

__all__ = [
    "KMNIST",
    "MNIST",
    "Arrays",
    "Digits",
    "FashionMNIST",
    "KFold",
    "NoData",
    "QuickDraw",
    "RandomRegression",
    "Spiral",
]
