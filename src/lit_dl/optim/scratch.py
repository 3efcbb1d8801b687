"""Optimizers from scratch: five rules of gradient descent to be read, each equal to torch's.

For each parameter w with gradient g, at its step t = 1, 2, ...; products, squares and roots are taken entry by entry.
They go through the parameters one by one in Python, so they are slower than torch's.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer


class FromScratch(Optimizer):
    """What the rules share: the loop over the parameters, weight decay, and what is remembered of earlier steps.

    Weight decay adds weight_decay * w to the gradient, which is the gradient of an L2 penalty weight_decay / 2 * |w|^2.

    Raises:
        ValueError: for a rate, eps or weight_decay below 0, or a share outside [0, 1).
    """

    state_names: ClassVar[tuple[str, ...]] = ()  # names of what a rule keeps of each parameter: zeros before its step 1

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float = 0.0, **options: Any) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, **options}
        for name, value in defaults.items():
            for each in value if name == "betas" else [value]:
                if name in ("lr", "eps", "weight_decay") and not each >= 0:
                    raise ValueError(f"{name} is {each!r}; it must be a number from 0 up")
                if name in ("momentum", "alpha", "betas") and not 0 <= each < 1:
                    raise ValueError(f"{name} is {value!r}; it must be from 0 up and below 1")
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move each parameter that has a gradient by one step; gives what ``closure`` does, which computes the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    state = self.state[w]
                    if not state:
                        state.update({"step": 0, **{name: torch.zeros_like(w) for name in self.state_names}})
                    state["step"] += 1
                    self.update(w, w.grad + group["weight_decay"] * w, state, group)
        return loss

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """The rule: change ``w`` in place.

        Args:
            g: its gradient, with weight decay, of the same shape.
            state: what is kept of it: ``step`` is t, and the tensors in ``state_names``.
            group: ``lr`` and the rule's other options.
        """
        raise NotImplementedError


class SGD(FromScratch):
    """Gradient descent: w <- w - lr * g (Robbins and Monro 1951)."""

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Take lr times the gradient off."""
        w -= group["lr"] * g


class Momentum(FromScratch):
    """Heavy ball: v <- momentum * v + g, w <- w - lr * v (Polyak 1964).

    Under a constant gradient v grows to g / (1 - momentum): with 0.9 the steps become ten times as long.
    """

    state_names = ("momentum_buffer",)

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, weight_decay, momentum=momentum)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Follow the velocity instead of the gradient."""
        v = state["momentum_buffer"]
        v.mul_(group["momentum"]).add_(g)
        w -= group["lr"] * v


class Adagrad(FromScratch):
    """Rate over the root of the summed squares: s <- s + g^2, w <- w - lr * g / (sqrt(s) + eps) (Duchi et al. 2011).

    s only grows, so each entry's rate only falls; entries that rarely have a gradient keep a high one.
    """

    state_names = ("sum",)

    def __init__(self, params: Iterable[Any], lr: float, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, weight_decay, eps=eps)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Divide by the root of all squares so far."""
        s = state["sum"]
        s += g**2
        w -= group["lr"] * g / (s.sqrt() + group["eps"])


class RMSprop(FromScratch):
    """Adagrad that forgets: v <- alpha * v + (1 - alpha) * g^2, w <- w - lr * g / (sqrt(v) + eps).

    Tieleman and Hinton 2012, lecture 6.5. v is a mean over the last 1 / (1 - alpha) steps or so, and begins at 0, so
    that the first step has the size lr / sqrt(1 - alpha): ten times lr with 0.99.
    """

    state_names = ("square_avg",)

    def __init__(
        self, params: Iterable[Any], lr: float, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr, weight_decay, alpha=alpha, eps=eps)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Divide by the root of the newest squares."""
        v, alpha = state["square_avg"], group["alpha"]
        v.mul_(alpha).add_((1 - alpha) * g**2)
        w -= group["lr"] * g / (v.sqrt() + group["eps"])


class Adam(FromScratch):
    """Momentum and RMSprop, both corrected for beginning at 0 (Kingma and Ba 2015, algorithm 1).

    m <- b1 * m + (1 - b1) * g, v <- b2 * v + (1 - b2) * g^2,
    w <- w - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).

    While an entry's gradients are alike, |m| is about sqrt(v), so that no entry moves much further than lr in a step.
    """

    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay, betas=betas, eps=eps)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Follow the mean of the gradients, divided by the root of the mean of their squares."""
        m, v, t = state["exp_avg"], state["exp_avg_sq"], state["step"]
        b1, b2 = group["betas"]
        m.mul_(b1).add_((1 - b1) * g)
        v.mul_(b2).add_((1 - b2) * g**2)
        mean, square = m / (1 - b1**t), v / (1 - b2**t)
        w -= group["lr"] * mean / (square.sqrt() + group["eps"])
