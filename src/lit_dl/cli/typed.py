"""The command as it was typed: which words are flags, which are values of flags, and which are overrides."""

from collections.abc import Sequence
from dataclasses import dataclass, field

HELP = {"--help", "-h"}
VERSION = {"--version"}
MULTIRUN = {"--multirun", "-m"}
CONFIG_DIR = {"--config-dir", "-cd"}
WITH_VALUE = {
    *CONFIG_DIR,
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--experimental-rerun"),
}
WITH_A_VALUE_OR_NONE = {"--info", "-i"}
_SHOWN = "job (the composed config), hydra or all"
TAKES = {"--config-dir": "a folder", "-cd": "a folder", "--cfg": _SHOWN, "-c": _SHOWN}
ALONE = {
    *HELP,
    *VERSION,
    *MULTIRUN,
    *("--", "--hydra-help", "--resolve", "--run", "-r", "--shell-completion", "-sc"),
}


@dataclass(frozen=True)
class Typed:
    """A command taken apart."""

    words: list[str] = field(default_factory=list)  # all that belongs to no flag, in order
    flags: list[tuple[str, str | None]] = field(default_factory=list)  # with their values

    @classmethod
    def read(cls, arguments: Sequence[str]) -> "Typed":
        """Take a command apart. A flag whose value is missing has None."""
        typed, rest = cls(), list(arguments)
        while rest:
            word = rest.pop(0)
            name, mark, value = word.partition("=")
            if not word.startswith("-"):
                typed.words.append(word)
            elif mark:
                typed.flags.append((name, value))
            else:
                typed.flags.append((word, rest.pop(0) if rest and _takes(word, rest[0]) else None))
        return typed

    def values(self, names: set[str]) -> list[str]:
        """What was given to a flag, under any of its names."""
        return [value for name, value in self.flags if name in names and value is not None]

    def has(self, names: set[str]) -> bool:
        """Whether a flag is there, under any of its names."""
        return any(name in names for name, _ in self.flags)


def _takes(flag: str, word: str) -> bool:
    """Whether the word after a flag is its value."""
    if word.startswith("-"):
        return False
    return flag in WITH_VALUE or (flag in WITH_A_VALUE_OR_NONE and "=" not in word)
