"""The help, answered from the config files before Hydra composes anything: all of it, one group, or one choice."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from lit_dl import __version__
from lit_dl.cli import catalogue
from lit_dl.cli.catalogue import Choice, as_typed
from lit_dl.cli.near import as_override, did_you_mean, instead_of_key, near_choices
from lit_dl.cli.typed import CONFIG_DIR, HELP, VERSION, Typed
from lit_dl.errors import CommandError
from lit_dl.overrides import Override

FLAGS = {
    "--help": "this text; --help GROUP shows a group, --help GROUP=CHOICE one choice with its keys",
    "--cfg job": "show the config that a command composes, without running it",
    "-m, --multirun": "a sweep: run every combination of values that are separated by commas",
    "--config-dir DIR": "look for choices of your own in DIR too",
    "--version": "the version of lit_dl",
    "--hydra-help": "all flags of Hydra, which reads the command",
}
EXAMPLES = {
    "data=digits": "the quick start: 1,797 real scans, no download, a few seconds",
    "model=cnn optimizer=rmsprop trainer.max_epochs=5": "a convolutional net on MNIST",
    'data=digits "model.hidden=[64,64,64]" activation=sigmoid': "a deeper net: its gradients shrink toward the input",
    "experiment=vanishing_gradients": "what goes wrong in a net that is too deep for its activation",
    "-m data=digits optimizer=sgd,adam seed=1,2,3": "a sweep of six runs, and a report",
}
PARAMS = ".sweeper.params."  # of an experiment's hydra node, what it varies
COMMAND = "python -m lit_dl.train"


def answer(arguments: Sequence[str]) -> str | None:
    """What a command that asks for help or for the version is answered with; None of one that asks for neither.

    Raises:
        CommandError: for help on what is no group, choice or key.
    """
    typed = Typed.read(arguments)
    if typed.has(HELP):
        return help_text([*typed.values(HELP), *typed.words], typed.values(CONFIG_DIR))
    return f"lit_dl {__version__}" if typed.has(VERSION) else None


def help_text(words: Sequence[str], config_dirs: Sequence[str] = ()) -> str:
    """The help on each group or choice that is named, or on all.

    Args:
        words: a group, a group=choice or a key each.
        config_dirs: the user's own folders of configs.

    Raises:
        CommandError: for what is no group, choice or key.
    """
    where = catalogue.folders(config_dirs)
    asked = {override.group: override for override in map(Override.read, words) if override.group}
    if not asked:
        return "\n".join(_overall(where))
    return "\n\n".join("\n".join(_about(override, where)) for override in asked.values())


def _about(asked: Override, where: Sequence[Path]) -> Iterator[str]:
    """One group or choice, the group of a key, or a key of none."""
    name = asked.group
    found = catalogue.choices(name, where)
    if found and asked.value:
        return _several([_named(name, choice, found) for choice in asked.value.split(",")], where)
    found = found or catalogue.choices(name.partition(".")[0], where)
    if found:
        return _group(found) if len(found) > 1 else _one_choice(found[0], found)
    if keys := [key for key in catalogue.root_keys() if key.name == name or key.name.startswith(f"{name}.")]:
        return _table({f"{key.name}={key.value}": key.comment for key in keys})
    known = catalogue.groups(where)
    if same := [choice for group in known for choice in catalogue.choices(group, where) if choice.name == name]:
        return _several(same, where)
    hint = instead_of_key(name, "", [], where)
    raise CommandError(f"--help {name}: no such group, choice or key.{hint}\nThe groups are {', '.join(known)}.")


def _named(group: str, name: str, found: Sequence[Choice]) -> Choice:
    by_name = {choice.name: choice for choice in found}
    if name not in by_name:
        near = did_you_mean(near_choices(group, name, list(by_name)))
        raise CommandError(f"--help {group}={name}: no such choice.{near}\nAll of them: --help {group}")
    return by_name[name]


def _several(wanted: Sequence[Choice], where: Sequence[Path]) -> Iterator[str]:
    """Several choices, also of one name in several groups, such as data=regression and experiment=regression."""
    for place, choice in enumerate(wanted):
        if place:
            yield ""
        yield from _one_choice(choice, catalogue.choices(choice.group, where))


def _overall(where: Sequence[Path]) -> Iterator[str]:
    yield "lit_dl: train a network with one command and see how it trains."
    yield f"\nUsage: {COMMAND} [group=choice] [key=value] ...     (or: lit-dl ...)"
    yield "\nGroups (group=choice; * is taken where none is typed). For more of one: --help GROUP"
    yield from _table(dict(_groups(where)))
    yield "\nKeys (key=value)"
    yield from _table({f"{key.name}={key.value}": key.comment for key in catalogue.root_keys()})
    yield from _folded(
        "  A choice has keys of its own, typed with its group before them: optimizer.lr=0.01. "
        "--help optimizer lists them; those of training itself, such as trainer.max_epochs, are under --help trainer.",
        "  ",
    )
    yield "\nFlags"
    yield from _table(FLAGS)
    yield "\nExamples"
    for arguments, what in EXAMPLES.items():
        yield from (f"  {COMMAND} {arguments}", f"      {what}")


def _groups(where: Sequence[Path]) -> Iterator[tuple[str, str]]:
    taken = catalogue.defaults()
    for group in catalogue.groups(where):
        found = catalogue.choices(group, where)
        if group == "experiment":
            yield group, f"{len(found)} ready settings with an expected result; --help experiment lists them"
        else:
            yield group, ", ".join(f"{c.name}*" if c.name == taken.get(group) else c.name for c in found)


def _group(found: Sequence[Choice]) -> Iterator[str]:
    group = found[0].group
    taken = catalogue.defaults().get(group)
    yield f"{group}=CHOICE{f' ({taken} where none is typed)' if taken else ''}"
    more = "How one is set, and what to expect of it" if group == "experiment" else "What each key means"
    yield f"{more}: --help {group}={taken or found[0].name}"
    wide = max(len(choice.name) for choice in found) + 4
    for choice in found:
        yield from _folded(f"  {choice.name:<{wide - 4}}  {choice.summary}", " " * wide)
        if group != "experiment" and (keys := catalogue.keys_of(choice, found)):
            shown = "  ".join(f"{key.removeprefix(f'{group}.')}={as_typed(value)}" for key, value in keys.items())
            yield from _folded(f"{' ' * wide}{shown}", " " * wide)
    if group != "experiment":
        yield f"Keys are typed with the group before them: {group}.KEY=VALUE"


def _one_choice(choice: Choice, found: Sequence[Choice]) -> Iterator[str]:
    yield f"{choice.group}={choice.name}"
    yield from (f"  {line}" for line in choice.head)
    if choice.group == "experiment":
        if "hardware" not in choice.content:  # which is measured, and can be typed in no other way
            yield "It stands for"
            yield from _folded(f"  {' '.join(_stands_for(choice))}")
        return
    values = {key: f"{key}={as_typed(value)}" for key, value in catalogue.keys_of(choice, found).items()}
    yield from _table({shown: choice.comments.get(key.rpartition(".")[2], "") for key, shown in values.items()})


def _stands_for(choice: Choice) -> Iterator[str]:
    """The words of a command that an experiment spares one to type."""
    hydra = dict(catalogue.dotted({"": choice.content.get("hydra")}))
    if hydra.get(".mode") == "MULTIRUN":
        yield "-m"
    yield from (f"experiment={name}" for name in choice.inherited)
    varied = {key.removeprefix(PARAMS): value for key, value in hydra.items() if key.startswith(PARAMS)}
    for settings in (choice.overridden, choice.own_keys, varied):
        yield from (as_override(key, as_typed(value)) for key, value in settings.items())


def _table(rows: dict[str, str]) -> Iterator[str]:
    """Names in one column, what is said of each beside it."""
    wide = min(max(map(len, rows), default=0), 36) + 4
    for name, what in rows.items():
        yield from (line.rstrip() for line in _folded(f"  {name:<{wide - 2}}{what}", " " * wide))


def _folded(text: str, indent: str = "  ") -> list[str]:
    """Lines of the terminal's width; those after the first begin with ``indent``."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)
    return textwrap.wrap(
        text, width, subsequent_indent=indent, drop_whitespace=True, break_long_words=False, break_on_hyphens=False
    )
