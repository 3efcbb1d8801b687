"""The one reader of overrides, such as ``optimizer.lr=0.1``, as they were typed or are recorded.

A key ends at the first ``=``, as in Hydra's grammar. Values are left as text here: Hydra's own parser refuses folders
that every shell completes (``resume=outputs/.../0_optimizer=sgd``) and takes up to 3 ms for each, so it reads only the
values that are swept over (``lit_dl.sweeps.grid``) and, in the end, those that the config is composed from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CONFIG_FOLDERS = ("--config-dir", "hydra.searchpath")  # where configs are looked for


@dataclass(frozen=True)
class Override:
    """One override.

    Example:
        >>> o = Override.read("+data@data.base='digits'")
        >>> o.key, o.value, o.group, o.text
        ('data@data.base', 'digits', 'data', "+data@data.base='digits'")
    """

    text: str  # as typed
    key: str  # without the + or ~ before it
    value: str  # without quotes around it; empty where none was typed

    @classmethod
    def read(cls, text: str) -> "Override":
        """Take an override apart."""
        key, _, value = text.partition("=")
        return cls(text, key.lstrip("+~"), value.strip("'\""))

    @property
    def group(self) -> str:
        """The key without its package: of ``data@data.base`` it is ``data``."""
        return self.key.partition("@")[0]

    def replaces(self, earlier: "Override") -> bool:
        """Whether ``earlier`` has no say beside this one: it sets the same key or, if this is a group, a key of it."""
        return earlier.key == self.key or earlier.key.startswith(f"{self.key}.")


def read_all(texts: Iterable[str]) -> list[Override]:
    """Take each override apart, in order."""
    return [Override.read(text) for text in texts]


def is_override(argument: str) -> bool:
    """Whether an argument of the command is an override, not a flag or what belongs to one."""
    return ("=" in argument and not argument.startswith("-")) or argument.startswith("~")


def last_value(key: str, texts: Sequence[str]) -> str | None:
    """The value that a key was last given; None if it was given none."""
    return next((o.value for o in reversed(read_all(filter(is_override, texts))) if o.key == key), None)


def without(key: str, texts: Iterable[str]) -> list[str]:
    """The overrides of other keys, as typed."""
    return [o.text for o in read_all(texts) if o.key != key]


def config_flags(arguments: Sequence[str]) -> list[str]:
    """Of a command's arguments those that any command with its overrides needs: where configs are looked for."""
    return [argument for argument in arguments if argument.partition("=")[0] in CONFIG_FOLDERS]
