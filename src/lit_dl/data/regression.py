"""Random data for regression: nothing to generalise, or a linear map under noise."""

import math
from typing import Any

import torch
from torch import Tensor

from lit_dl.data.base import InMemoryData, Samples
from lit_dl.devices import check_memory
from lit_dl.errors import check_count, check_number

MAP_SEED, POOL_SEED, TEST_SEED = 0, 1, 2  # the samples are the same whatever the other seeds


class RandomRegression(InMemoryData):
    """Targets y = signal * x W + noise * e of inputs x.

    x, of ``features`` entries, and e, of ``targets``, are drawn from the standard normal distribution, W once for all
    samples with variance 1 / ``features``, so that each entry of x W has variance 1: of the targets' variance,
    signal^2 / (signal^2 + noise^2) can be predicted. The defaults are the data of the course that lit_dl follows, in
    which targets have nothing to do with inputs: a net can only memorise them. The test set is another draw of the same
    size.

    Args:
        samples: size of the pool, from 2 up; the default leaves the 64 of that course for training.
        features, targets: entries of an input and of a target, from 1 up.
        signal: weight of what can be predicted.
        noise: standard deviation of what cannot.
        val_fraction, normalize, options: the arguments of ``InMemoryData``.

    Raises:
        ValueError: for an argument out of its range, or more samples than memory can hold.
    """

    name = "regression"

    def __init__(
        self,
        samples: int = 80,
        features: int = 1000,
        targets: int = 10,
        signal: float = 0.0,
        noise: float = 1.0,
        val_fraction: float = 0.2,
        normalize: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(val_fraction=val_fraction, normalize=normalize, **options)
        check_count("samples", samples, least=2)
        check_count("features", features)
        check_count("targets", targets)
        for argument, value in (("signal", signal), ("noise", noise)):
            check_number(argument, value, least=0)
        size = 4 * (2 * samples * (features + targets) + features * targets)  # float32, pool and test set, and W
        check_memory(f"samples={samples:,} of features={features:,} and targets={targets:,}", size, "Take fewer")
        self.samples = samples
        self.in_shape = (features,)
        self.num_targets = targets
        self.signal = signal
        self.noise = noise

    def load_pool(self) -> Samples:
        """(samples, features) and (samples, targets), float32."""
        return self._draw(POOL_SEED)

    def load_test(self) -> Samples:
        """As many samples as the pool has, drawn anew."""
        return self._draw(TEST_SEED)

    def weights(self) -> Tensor:
        """W, (features, targets)."""
        (features,) = self.in_shape
        generator = torch.Generator().manual_seed(MAP_SEED)
        return torch.randn(features, self.num_targets, generator=generator) / math.sqrt(features)

    def _draw(self, seed: int) -> Samples:
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(self.samples, *self.in_shape, generator=generator)
        errors = torch.randn(self.samples, self.num_targets, generator=generator)
        return inputs, self.signal * inputs @ self.weights() + self.noise * errors
