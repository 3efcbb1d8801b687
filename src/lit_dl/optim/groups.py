"""Parameter groups: another learning rate for each layer, and no weight decay where there is nothing to keep small."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lit_dl.errors import check_bool, is_number
from lit_dl.layers import NORMS, layers_of

Recipe = Callable[[Iterable[Any]], Optimizer]


class Grouped:
    """Makes an optimizer with the parameters of a network in groups.

    - A layer with n layers above it (nearer the output) learns at the rate lr * layer_lr_decay^n, the output layer so
      at lr (Howard and Ruder 2018, "discriminative fine-tuning"; Bao et al. 2022, BEiT, "layer-wise lr decay"). Layers
      are modules with weights of two or more dimensions, in order of use; a normalisation or PReLU counts to the layer
      before it, and so does what a module has beside weights that it shares with an earlier one.
    - Without ``decay_biases_and_norms`` weight decay leaves alone what has fewer than two dimensions (biases, the
      weights of norms, slopes of PReLU: He et al. 2015 do not decay those either) and all of a normalisation.

    The group of the output layer comes first, so that ``param_groups[0]["lr"]`` is lr. Where all parameters have the
    same rate and decay, the optimizer is made as if there were no groups.

    Args:
        recipe: makes an optimizer from parameters or groups of them, with lr and weight decay bound.
        network: whose parameters those are; others are taken for parameters of the output layer.
        order: its modules in order of use; without, they are taken as registered.
        layer_lr_decay: above 0 and at most 1.
        decay_biases_and_norms: whether weight decay is on all parameters.

    Raises:
        ValueError: for a value out of its range. Calling it raises one if the optimizer has no lr, no weight decay, or
            takes no groups.

    Example:
        >>> from functools import partial
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> grouped = Grouped(partial(torch.optim.Adam, lr=0.1), net, layer_lr_decay=0.5)
        >>> [group["lr"] for group in grouped(net.parameters()).param_groups]
        [0.1, 0.05]
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        order: Sequence[nn.Module] = (),
        layer_lr_decay: float = 1.0,
        decay_biases_and_norms: bool = True,
    ) -> None:
        if not is_number(layer_lr_decay) or not 0 < layer_lr_decay <= 1:
            raise ValueError(f"layer_lr_decay is {layer_lr_decay!r}; it must be a number above 0 and at most 1")
        check_bool("decay_biases_and_norms", decay_biases_and_norms)
        self.recipe = recipe
        self.layer_lr_decay = layer_lr_decay
        self.decay_biases_and_norms = decay_biases_and_norms
        self._above = layers_above(network, order)
        norms = [module for module in network.modules() if isinstance(module, NORMS)]
        self._of_norms = {id(p) for norm in norms for p in norm.parameters()}

    def __call__(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """The optimizer of these parameters."""
        groups: dict[tuple[tuple[str, float], ...], list[nn.Parameter]] = {}
        parameters = list(parameters)
        for p in self._sorted(parameters):
            groups.setdefault(tuple(self._options(p).items()), []).append(p)
        if list(groups) == [()]:
            return self.recipe(parameters)
        return self.recipe([{"params": own, **dict(options)} for options, own in groups.items()])

    def on_trial(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """An optimizer with the same groups, each of a parameter that stands for its own: to check arguments by.

        It is made in no time and keeps nothing of the network.
        """
        options = dict.fromkeys(tuple(self._options(p).items()) for p in self._sorted(parameters))
        return self.recipe([{"params": [nn.Parameter(torch.zeros(()))], **dict(each)} for each in options])

    def _sorted(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """Those of the output layer first, and of each layer those that decay."""
        return sorted(parameters, key=lambda p: (self._above.get(id(p), 0), self._is_spared(p)))

    def _options(self, p: nn.Parameter) -> dict[str, float]:
        """In what a parameter's group differs from the optimizer's defaults."""
        options = {}
        above = self._above.get(id(p), 0)
        if self.layer_lr_decay != 1 and above > 0:
            options["lr"] = _argument(self.recipe, "lr", "layer_lr_decay") * self.layer_lr_decay**above
        if self._is_spared(p) and _argument(self.recipe, "weight_decay", "decay_biases_and_norms") != 0:
            options["weight_decay"] = 0.0
        return options

    def _is_spared(self, p: nn.Parameter) -> bool:
        """Whether it is a bias or a norm's that weight decay is to leave alone."""
        return not self.decay_biases_and_norms and (p.dim() < 2 or id(p) in self._of_norms)


def layers_above(network: nn.Module, order: Sequence[nn.Module] = ()) -> dict[int, int]:
    """How many layers stand above that of each parameter, by the parameter's id; layers as ``Grouped`` counts them."""
    layers = layers_of(network, order)
    counted = [not isinstance(each.module, NORMS) and any(p.dim() > 1 for p in each.parameters) for each in layers]
    below = [max(1, number) for number in accumulate(counted)]  # of layers up to the one that it counts to
    return {id(p): max(1, sum(counted)) - at for each, at in zip(layers, below, strict=True) for p in each.parameters}


def _argument(recipe: Recipe, name: str, key: str) -> float:
    """The value that a recipe gives to an argument of its optimizer."""
    bound: dict[str, Any] = recipe.keywords if isinstance(recipe, partial) else {}
    kind = recipe.func if isinstance(recipe, partial) else recipe
    known = inspect.signature(kind).parameters
    if name not in bound and name not in known:
        raise ValueError(f"{key} needs an optimizer with {name}, and {getattr(kind, '__name__', kind)} has none")
    value = bound.get(name, known[name].default if name in known else 0.0)
    return float(value) if is_number(value) else 0.0  # the optimizer itself says what is wrong with another one
