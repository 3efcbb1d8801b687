"""What can be chosen and set, read from the config files themselves: groups, choices, their keys, what each is.

Hydra could tell too, but takes a copy of its whole config for each group, and imports every launcher that is installed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from lit_dl.overrides import is_override, read_all

CONF = Path(str(files("lit_dl.conf")))
ROOT = "train"  # the config that names a default for each group
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is not in every build
SENTENCE_END = re.compile(r"(?<!\bal)\.\s")  # not after "et al."


@dataclass(frozen=True)
class Choice:
    """One choice of a group: a YAML file, with what it is in the comment at its head."""

    group: str
    name: str  # one in a folder of its own has that before it: scratch/adam
    path: Path

    @cached_property
    def text(self) -> str:
        """The file; nothing of one that cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    @cached_property
    def head(self) -> list[str]:
        """The lines of the comment at its head."""
        lines = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                break
            if "@package" not in line:
                lines.append(line.removeprefix("#").removeprefix(" "))
        return lines

    @property
    def summary(self) -> str:
        """The first sentence of that comment."""
        prose = " ".join(line for line in self.head if not line.startswith(" "))
        return SENTENCE_END.split(prose)[0].rstrip(".")

    @cached_property
    def is_global(self) -> bool:
        """Whether it sets keys anywhere in the config, not only those of its group."""
        return "# @package _global_" in self.text

    @cached_property
    def content(self) -> dict[str, Any]:
        """Its YAML; nothing of one that cannot be read, of which Hydra will complain in its own words."""
        try:
            content = yaml.load(self.text, LOADER)
        except yaml.YAMLError:
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def _defaults(self) -> list[Any]:
        entries = self.content.get("defaults")
        return entries if isinstance(entries, list) else []

    @property
    def inherited(self) -> list[str]:
        """The choices of its group whose keys it takes over."""
        return [entry for entry in self._defaults if isinstance(entry, str) and entry != "_self_"]

    @property
    def overridden(self) -> dict[str, str]:
        """The choices of other groups that it takes, as an experiment does."""
        entries = [entry for entry in self._defaults if isinstance(entry, dict)]
        pairs = [(str(name), str(choice)) for entry in entries for name, choice in entry.items()]
        return {name.rpartition("/")[2]: choice for name, choice in pairs if name.startswith("override /")}

    @property
    def nested(self) -> dict[str, tuple[str, str]]:
        """Of groups that it has inside: the key that they are under, with the group and its choice."""
        entries = [entry for entry in self._defaults if isinstance(entry, dict)]
        found = {}
        for name, choice in (pair for entry in entries for pair in entry.items()):
            group, at, key = str(name).lstrip("/").partition("@")
            if at:
                found[f"{self.group}.{key}"] = (group, str(choice))
        return found

    @property
    def own_keys(self) -> dict[str, Any]:
        """The values in the file, by dotted key as it is typed."""
        return dict(dotted(self.content, "" if self.is_global else f"{self.group}."))

    @property
    def comments(self) -> dict[str, str]:
        """What is said of keys at their lines, by the last part of the key."""
        return dict(re.findall(r"^\s*(\w+):.*?\s# (.*)$", self.text, re.MULTILINE))


def folders(config_dirs: Sequence[str] = ()) -> list[Path]:
    """Where configs are looked for: lit_dl's own, then those of the user."""
    return [CONF, *map(Path, config_dirs)]


def groups(where: Sequence[Path]) -> list[str]:
    """The groups in these folders: those that a run takes a choice of, in the order of ``train.yaml``, then others."""
    in_order = [next(iter(entry)) for entry in _root()["defaults"] if isinstance(entry, dict)]
    in_order = [name for name in in_order if not name.startswith("override ")]
    found = {path.parent.name for folder in where for path in folder.glob("*/*.yaml")}
    return [*in_order, *sorted(found - {*in_order, "hydra"})]


def defaults() -> dict[str, str | None]:
    """The choice of each group where none is typed."""
    entries = [entry for entry in _root()["defaults"] if isinstance(entry, dict)]
    return {name: choice for entry in entries for name, choice in entry.items() if not name.startswith("override ")}


def choices(group: str, where: Sequence[Path]) -> list[Choice]:
    """The choices of a group, those in folders of their own last; the first folder that has one wins."""
    found: dict[str, Choice] = {}
    for folder in where:
        base = folder / group
        for path in [*sorted(base.glob("*.yaml")), *sorted(base.glob("*/*.yaml"))]:
            name = path.relative_to(base).with_suffix("").as_posix()
            found.setdefault(name, Choice(group, name, path))
    return list(found.values())


def keys_of(choice: Choice, all_choices: Sequence[Choice]) -> dict[str, Any]:
    """The values that a choice sets, with those it takes over from others of its group."""
    others = [other for other in all_choices if other.name != choice.name]
    taken_over = [keys_of(other, others) for name in choice.inherited for other in others if other.name == name]
    return {key: value for keys in [*taken_over, choice.own_keys] for key, value in keys.items()}


def chosen(arguments: Sequence[str], where: Sequence[Path]) -> dict[str, list[str]]:
    """Of each group the choice that a command takes; of a sweep over a group all of them."""
    known = groups(where)
    typed = {o.key: o.value.split(",") for o in read_all(filter(is_override, arguments)) if o.key in known}
    taken = {group: [choice] for group, choice in defaults().items() if choice is not None}
    experiments = {choice.name: choice for choice in choices("experiment", where)}
    for name in typed.get("experiment", []):
        for choice in reversed(_line(name, experiments)):
            taken |= {group: [other] for group, other in choice.overridden.items()}
    return taken | typed


def _line(name: str, experiments: dict[str, Choice]) -> list[Choice]:
    """An experiment, the one it comes from, and so on."""
    if name not in experiments:
        return []
    others = {other: choice for other, choice in experiments.items() if other != name}
    return [experiments[name], *(each for above in experiments[name].inherited for each in _line(above, others))]


def settable(arguments: Sequence[str], where: Sequence[Path]) -> dict[str, Any]:
    """The keys that a command can set, with their values where it sets none."""
    found = dict(dotted(_root()))
    for group, names in chosen(arguments, where).items():
        there = choices(group, where)
        for choice in there:
            if choice.name in names:
                found |= keys_of(choice, there)
                for key, (inner, name) in choice.nested.items():
                    found |= _under(key, inner, name, where)
    return found


def _under(key: str, group: str, name: str, where: Sequence[Path]) -> dict[str, Any]:
    there = choices(group, where)
    inner = next((choice for choice in there if choice.name == name), None)
    keys = {} if inner is None else keys_of(inner, there)
    return {f"{key}.{each.removeprefix(f'{group}.')}": value for each, value in keys.items()}


@dataclass(frozen=True)
class Key:
    """A key that belongs to no choice, with its default and what is said of it."""

    name: str
    value: str
    comment: str


def root_keys() -> list[Key]:
    """The keys of ``train.yaml`` itself, such as ``seed`` and ``sweep.metric``, in its order."""
    comments = re.findall(r"^( *)(\w+):(?: +(\S+))? *(?:# (.*))?$", _root_text(), re.MULTILINE)
    found, above = [], ""
    for indent, name, value, comment in comments:
        if not indent:
            above = name
        if value and above not in ("hydra", "defaults"):
            found.append(Key(f"{above}.{name}" if indent else name, value, comment))
    return found


def dotted(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a nested mapping by dotted key, less what Hydra alone reads."""
    for key, value in node.items():
        if str(key).startswith("_") or key in ("defaults", "hydra"):
            continue
        if isinstance(value, dict) and value:
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_typed(value: Any) -> str:
    """A value as an override has it: ``[64,64]``, ``true``, ``null``."""
    if isinstance(value, list):
        return f"[{','.join(map(as_typed, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


@cache
def _root_text() -> str:
    return (CONF / f"{ROOT}.yaml").read_text(encoding="utf-8")


@cache
def _root() -> dict[str, Any]:
    return dict(yaml.load(_root_text(), LOADER))
