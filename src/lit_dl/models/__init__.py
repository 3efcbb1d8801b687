"""Networks as plain nn.Modules."""

from lit_dl.models.alexnet import AlexNet
from lit_dl.models.cnn import CNN
from lit_dl.models.init import initialize
from lit_dl.models.lenet import LeNet
from lit_dl.models.mlp import MLP
from lit_dl.models.parallel import ParallelBlock, ParallelNet
from lit_dl.models.perceptron import Perceptron
from lit_dl.models.shared import SharedMLP

__all__ = [
    "CNN",
    "MLP",
    "AlexNet",
    "LeNet",
    "ParallelBlock",
    "ParallelNet",
    "Perceptron",
    "SharedMLP",
    "initialize",
]
