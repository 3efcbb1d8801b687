"""What a run folder may build without being trusted: the classes that the YAML files name, by their place in a config.

The list is read from the files: those of ``lit_dl.conf`` and those of folders that the user names now. Beside it stand
torch's own families of some groups, as patterns, since torch is not imported here.
"""

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

TARGET = "_target_"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C ten times as fast, where PyYAML was built with it

# Every name of torch's that one of these fits has to be a class, or for init a function, of the group's own kind: these
# take numbers and change tensors, whatever their arguments.
FAMILIES = {
    "activation": r"torch\.nn\.(?!Buffer|LinearCrossEntropy|Parameter|Uninitialized)[A-Z]\w+",
    "init": r"torch\.nn\.init\.[a-z]\w*_",
    "loss": r"torch\.nn\.[A-Z]\w*Loss",
    "optimizer": r"torch\.optim\.[A-Z]\w+",
    "scheduler": r"torch\.optim\.lr_scheduler\.(\w+LR|ReduceLROnPlateau|CosineAnnealingWarmRestarts)",
}


@dataclass
class Known:
    """What the YAML files name."""

    targets: dict[str, set[str]] = field(default_factory=dict)  # by the dotted key under which ``_target_`` stands
    homes: dict[str, str] = field(default_factory=dict)  # group of a node inside another: data.base has one of data
    interpolations: set[str] = field(default_factory=set)  # values with ${...}, whole
    groups: set[str] = field(default_factory=set)
    folders: list[Path] = field(default_factory=list)  # of the files

    def allows(self, key: str, target: object) -> bool:
        """Whether a node at a dotted key may name that target."""
        if not isinstance(target, str):
            return False
        group = self.homes.get(key, key)
        if target in self.targets.get(group, ()) or target in self.targets.get(key, ()):
            return True
        family = FAMILIES.get(group)
        return family is not None and re.fullmatch(family, target, re.ASCII) is not None


def known(folders: Iterable[Path] = ()) -> Known:
    """What lit_dl's own YAML files name, and those of the same groups in other folders of configs."""
    found = deepcopy(_of_lit_dl())
    for folder in folders:
        _read(folder, found)
    return found


@cache
def _of_lit_dl() -> Known:
    own = Path(str(files("lit_dl.conf")))
    found = Known(groups={path.name for path in own.iterdir() if path.is_dir()} - {"hydra", "__pycache__"})
    _read(own, found)
    return found


def _read(folder: Path, found: Known) -> None:
    found.folders.append(folder)
    for group in sorted(found.groups):
        for path in sorted((folder / group).rglob("*.yaml")):
            _add(group, path.read_text(encoding="utf-8", errors="replace"), found)


def _add(group: str, text: str, found: Known) -> None:
    try:
        content = yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, ValueError):
        return  # if it is used, Hydra says what is wrong with it
    if not isinstance(content, dict):
        return
    header = re.search(r"^# *@package +(\S+)", text, re.MULTILINE)
    package = header.group(1) if header and header.group(1) != "_group_" else group
    package = "" if package == "_global_" else package
    defaults = content.pop("defaults", None)
    for each in defaults if isinstance(defaults, list) else ():
        for choice in each if isinstance(each, dict) else ():
            home, at, place = str(choice).removeprefix("override ").partition("@")
            if at:
                found.homes[_join(package, place)] = home.lstrip("/")
    content.pop("hydra", None)  # what Hydra is set to is never taken from a run folder
    for key, value in leaves(content, package):
        name, _, last = key.rpartition(".")
        if last == TARGET:
            found.targets.setdefault(name, set()).add(str(value))
        if isinstance(value, str) and "${" in value:
            found.interpolations.add(value)


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """What is no mapping and no list in a config, with dotted keys."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from leaves(value, _join(key, str(name)))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from leaves(value, _join(key, str(number)))
    else:
        yield key, content


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
