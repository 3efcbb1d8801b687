"""What is near to a name that is not there: another case, another word for it, a part of it, or a slip."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lit_dl.cli import catalogue
from lit_dl.cli.synonyms import CHOICES, KEYS, NOT_HERE, folded

SHORTEST_PART = 4  # letters that a part of a name has to have, or any of them would be in many


def did_you_mean(names: Sequence[str]) -> str:
    """As a question after a message; nothing if nothing is near."""
    if len(names) > 3:
        return f" Did you mean one of {', '.join(names)}?"
    return f" Did you mean {' or '.join(names)}?" if names else ""


def near_choices(group: str, name: str, names: Sequence[str]) -> list[str]:
    """The choices of a group that a name may stand for, those in other words before slips."""
    folder, _, last = name.rpartition("/")
    if beside := [choice.rpartition("/")[2] for choice in names if folder and choice.rpartition("/")[0] == folder]:
        return [f"{folder}/{choice}" for choice in near_choices(group, last, beside)]
    wanted = folded(name)
    by_folded = {folded(choice): choice for choice in names}
    if wanted in by_folded:
        return [by_folded[wanted]]
    if CHOICES.get(group, {}).get(wanted) in names:
        return [CHOICES[group][wanted]]
    parts = [choice for key, choice in by_folded.items() if len(wanted) >= SHORTEST_PART and wanted in key]
    close = [by_folded[key] for key in difflib.get_close_matches(wanted, by_folded, n=3, cutoff=0.7)]
    begun = [choice for key, choice in by_folded.items() if wanted and key.startswith(wanted)][:3]
    return parts or close or begun


def instead_of_choice(group: str, name: str, where: Sequence[Path]) -> str:
    """What to say of a choice that a group does not have, beside that."""
    names = [choice.name for choice in catalogue.choices(group, where)]
    if near := near_choices(group, name, names):
        return did_you_mean(near)
    if folded(name) in NOT_HERE.get(group, ()):
        return " It does not come with lit_dl; data=arrays takes images or numbers of your own."
    setting = KEYS.get(folded(name), "=")  # trainer=gpu
    return did_you_mean(as_a_choice(name, where) or ([] if setting.endswith("=") else [setting]))


def as_a_choice(name: str, where: Sequence[Path]) -> list[str]:
    """A name as ``group=choice`` of each group that has it."""
    wanted = folded(name)
    return [
        f"{group}={choice.name}"
        for group in catalogue.groups(where)
        for choice in catalogue.choices(group, where)
        if wanted and folded(choice.name) == wanted
    ]


def instead_of_key(key: str, value: str, arguments: Sequence[str], where: Sequence[Path]) -> str:
    """What to say of a key that the config does not have, beside that."""
    settable = catalogue.settable(arguments, where)
    names = list(dict.fromkeys([*catalogue.groups(where), *settable]))
    wanted, last = folded(key), folded(key.rpartition(".")[2])
    if same := [name for name in names if folded(name) == wanted]:
        return did_you_mean([as_override(name, value) for name in same])
    if missing := _of_another_choice(key, arguments, where):
        return f" {missing}"
    first, _, rest = key.partition(".")
    if rest and first not in names and (choices := as_a_choice(first, where)):
        group = choices[0].partition("=")[0]
        return did_you_mean([f"{choices[0]} {as_override(f'{group}.{rest}', value)}"])
    if typed := KEYS.get(wanted) or KEYS.get(last):
        return did_you_mean([_completed(typed, value)])
    if same := [name for name in names if folded(name.rpartition(".")[2]) == last]:
        return did_you_mean([as_override(name, value) for name in same])
    if others := _anywhere(last, where):
        return f" {others}"
    return did_you_mean([as_override(name, value) for name in _slips(key, names)])


def as_override(key: str, value: str) -> str:
    """A key with its value, in quotes where a shell would read it itself; double ones, which every shell has."""
    text = f"{key}={value}" if value else key
    if "$" in text:
        return f"'{text}'"
    return f'"{text}"' if set(text) & set(" ()[]{}*?;&|<>'") else text


def _completed(typed: str, value: str) -> str:
    if typed == KEYS["gpu"] and value.casefold() in ("false", "0", "no", "off", "none"):
        return "trainer.accelerator=cpu"
    if typed == KEYS["device"]:
        value = value.partition(":")[0]  # cuda:0 of torch
    before, _, last = typed.rpartition(" ")
    return f"{before} {as_override(last[:-1], value)}".strip() if typed.endswith("=") else typed


def _of_another_choice(key: str, arguments: Sequence[str], where: Sequence[Path]) -> str:
    """That the choice taken has no such key, and which have."""
    group = key.partition(".")[0]
    there = catalogue.choices(group, where)
    have = [choice.name for choice in there if key in catalogue.keys_of(choice, there)]
    without = [name for name in catalogue.chosen(arguments, where).get(group, []) if name not in have]
    if not have or not without:
        return ""
    last = key.rpartition(".")[2]
    return f"{group}={without[0]} has no {last}; {group}={', '.join(have)} {'has' if len(have) == 1 else 'have'}."


def _anywhere(last: str, where: Sequence[Path]) -> str:
    """Which choices of which groups have a key that ends so."""
    found: dict[str, list[str]] = {}
    for group in catalogue.groups(where):
        there = [] if group == "experiment" else catalogue.choices(group, where)
        for choice in there:
            for key in catalogue.keys_of(choice, there):
                if key.startswith(f"{group}.") and folded(key.rpartition(".")[2]) == last:
                    found.setdefault(key, []).append(f"{group}={choice.name}")
    shown = [f"{key} (with {' or '.join(choices)})" for key, choices in found.items()]
    return f"There is {', '.join(shown)}." if shown else ""


def _slips(key: str, names: Sequence[str]) -> list[str]:
    """Names in which a letter or two are others: first of the whole, then of the last part."""
    before, _, last = key.rpartition(".")
    beside = {name.rpartition(".")[2]: name for name in names if name.rpartition(".")[0] == before}
    if near := difflib.get_close_matches(last, beside, n=2, cutoff=0.7):
        return [beside[name] for name in near]
    keys = [name for name in names if "." in name] if before else names
    near = difflib.get_close_matches(key, keys, n=3, cutoff=0.7)
    return near or _same_ending(key, keys)


def _same_ending(key: str, names: Iterable[str]) -> list[str]:
    """Keys whose last part is like that of ``key``: lrr is optimizer.lr."""
    last = {name: name.rsplit(".", 1)[-1] for name in names}
    near = set(difflib.get_close_matches(key.rsplit(".", 1)[-1], set(last.values()), n=2, cutoff=0.75))
    return [name for name, ending in last.items() if ending in near][:3]


def number(value: Any) -> bool:
    """Whether a value of a config is a number; YAML 1.1 takes 1e-3 for text."""
    try:
        float(str(value))
    except ValueError:
        return False
    return not isinstance(value, bool)
