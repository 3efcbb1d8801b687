"""Networks as plain nn.Modules."""

from lit_dl.models.cnn import CNN
from lit_dl.models.init import initialize
from lit_dl.models.mlp import MLP

__all__ = ["CNN", "MLP", "initialize"]
