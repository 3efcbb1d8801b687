"""What was found in a training, and what to try: typed from the rule to the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from lit_dl.records.checking import known_fields

Kind = Literal[
    "vanishing_gradients",
    "exploding_gradients",
    "dead_units",
    "saturated_units",
    "stalled",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "diverged",
    "overfitting",
    "underfitting",
    "healthy",
]


class Advice(NamedTuple):
    """One change to try: what, and to what."""

    key: Literal["activation", "init", "lr", "gradient_clip", "early_stopping", "hidden"]
    value: str


OVERRIDES: Mapping[str, str] = {
    "lr": "optimizer.lr",
    "gradient_clip": "trainer.gradient_clip_val",
    "hidden": "model.hidden",
}
"""The key of an override, where it is not the advice's own."""

TORCH: Mapping[Advice, str] = {
    Advice("activation", "relu"): "torch.nn.ReLU()",
    Advice("activation", "leaky_relu"): "torch.nn.LeakyReLU()",
    Advice("init", "he"): "torch.nn.init.kaiming_normal_(layer.weight)",
    Advice("init", "xavier"): "torch.nn.init.xavier_uniform_(layer.weight)",
    Advice("early_stopping", "on"): "lightning.pytorch.callbacks.EarlyStopping('val/loss')",
}
"""What stands for an advice in a project of one's own; what is not here is said by ``as_torch``."""


@dataclass
class Finding:
    """What is wrong with a training; or ``healthy``."""

    kind: Kind
    since_step: int
    layers: list[str]
    message: str  # the evidence in plain words
    evidence: dict[str, Any]  # the numbers it rests on
    advice: tuple[Advice, ...] = ()  # to be tried together

    @property
    def title(self) -> str:
        """The kind in words."""
        return self.kind.replace("_", " ")

    def in_words(self, wording: Callable[[Sequence[Advice]], str]) -> str:
        """One line: ``dead units since step 1: ... Try: activation=leaky_relu``."""
        advice = f" Try: {wording(self.advice)}" if self.advice else ""
        return f"{self.title} since step {self.since_step:,}: {self.message}.{advice}"

    def as_json(self) -> dict[str, Any]:
        """Primitives, with the advice as overrides."""
        return {**asdict(self), "advice": as_overrides(self.advice)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "") -> "Finding":
        """From what ``as_json`` gave; keys that this lit_dl does not know are left out.

        Args:
            content: as read.
            where: in a file it stands, for the error.

        Raises:
            ValueError: if it is no finding.
        """
        known = known_fields(content, cls, where, advice=str)
        return cls(**{**known, "advice": read_advice(known.get("advice", ""))})


def as_overrides(advice: Sequence[Advice]) -> str:
    """Advice as it is typed behind the command: ``activation=relu init=he``; empty for none."""
    return " ".join(f"{OVERRIDES.get(key, key)}={value}" for key, value in advice)


def as_torch(advice: Sequence[Advice]) -> str:
    """Advice for a project of one's own, in torch's and Lightning's terms; empty for none."""
    return ", ".join(TORCH.get(each) or _in_words(each) for each in advice)


def read_advice(overrides: str) -> tuple[Advice, ...]:
    """From what ``as_overrides`` gave."""
    keys = {override: key for key, override in OVERRIDES.items()}
    pairs = (override.partition("=") for override in overrides.split())
    return tuple(Advice(keys.get(key, key), value) for key, _, value in pairs)  # type: ignore[arg-type]  # as read


def _in_words(advice: Advice) -> str:
    words = {
        "lr": f"lr={advice.value} for the optimizer",
        "gradient_clip": f"Trainer(gradient_clip_val={advice.value})",
        "hidden": f"hidden layers of {advice.value.strip('[]').replace(',', ', ')} units",
    }
    return words.get(advice.key, f"{advice.key}={advice.value}")
