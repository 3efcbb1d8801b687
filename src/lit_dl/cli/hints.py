"""What was wrong with the command, as Hydra found it, in one message that names the way out."""

import re
from collections.abc import Sequence

from hydra.errors import OverrideParseException

from lit_dl.cli import catalogue
from lit_dl.cli.near import as_override, instead_of_choice, instead_of_key, number
from lit_dl.cli.typed import CONFIG_DIR, Typed
from lit_dl.errors import how_to_install
from lit_dl.overrides import Override, last_value

EXTRAS = {"joblib": "sweep", "ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}  # of each launcher
KEY = r"[+~]{0,2}[\w./@:$-]+"
ALL_KEYS = "All of them: python -m lit_dl.train --help"


def explain(error: BaseException, arguments: Sequence[str]) -> str:
    """One message of a few lines for what Hydra or OmegaConf found wrong with the command.

    For a choice that does not exist it lists the choices, for a key that does not exist it names the nearest ones.
    """
    message = str(error).strip().partition("\nConfig search path:")[0].replace("\t", "  ")
    if choice := re.search(r"Could not find '([^']+)'\s+Available options in '([^']+)':(.*)", message, re.DOTALL):
        group = choice.group(2)
        return _no_such_choice(group, choice.group(1).removeprefix(f"{group}/"), choice.group(3).split(), arguments)
    if key := re.search(r"Could not override '([^']+)'", message):
        return _no_such_key(key.group(1).partition("@")[0], arguments)
    if several := re.search(r"Ambiguous value for argument '(.*)'", message):
        return _several_values(Override.read(several.group(1)), arguments)
    if misfit := re.match(r"Error merging override (.*)", message):
        return _of_another_kind(Override.read(misfit.group(1)), arguments)
    if isinstance(error, OverrideParseException):
        return not_understood(error.override, message)
    cause = error.__cause__
    return f"{message}\n{cause}" if cause is not None and str(cause) not in message else message


def _no_such_choice(group: str, name: str, listed: Sequence[str], arguments: Sequence[str]) -> str:
    if group == "hydra/launcher" and name in EXTRAS:
        return f"{group}={name} is not installed. {how_to_install(EXTRAS[name])}"
    where = catalogue.folders(Typed.read(arguments).values(CONFIG_DIR))
    found = f"{group}={name}: no such choice.{instead_of_choice(group, name, where)}"
    if group == "experiment":
        return f"{found}\nAll of them, with what each shows: python -m lit_dl.train --help experiment"
    names = dict.fromkeys([*listed, *(choice.name for choice in catalogue.choices(group, where))])
    return f"{found}\nIt can be {', '.join(names)}."


def _no_such_key(name: str, arguments: Sequence[str]) -> str:
    where = catalogue.folders(Typed.read(arguments).values(CONFIG_DIR))
    group, _, folder = name.partition("/")
    if folder and any(choice.name.startswith(f"{folder}/") for choice in catalogue.choices(group, where)):
        hint = f" A choice in a folder is typed {group}={folder}/NAME."
    else:
        hint = instead_of_key(name, last_value(name, arguments) or "", arguments, where)
    return f"{name}: no such key or group.{hint}\n{ALL_KEYS}"


def _several_values(override: Override, arguments: Sequence[str]) -> str:
    """Of values with commas between them, which Hydra takes for a sweep."""
    where = catalogue.folders(Typed.read(arguments).values(CONFIG_DIR))
    now = catalogue.settable(arguments, where).get(override.key)
    if isinstance(now, list):
        return f"{override.text}: a list has brackets: {as_override(override.key, f'[{override.value}]')}"
    sweep = f"To run each of the values, add -m: python -m lit_dl.train -m {override.text} ..."
    if number(now) and re.fullmatch(r"\d+,\d+", override.value):
        point = override.value.replace(",", ".")
        return f"{override.text}: a decimal number has a point: {override.key}={point}\n{sweep}"
    return f"{override.text}: these are several values.\n{sweep}"


def _of_another_kind(override: Override, arguments: Sequence[str]) -> str:
    where = catalogue.folders(Typed.read(arguments).values(CONFIG_DIR))
    now = catalogue.settable(arguments, where).get(override.key)
    example = f", such as {as_override(override.key, catalogue.as_typed(now))}" if now is not None else ""
    return f"{override.text}: a value of this kind does not fit there. Take one of the kind that it has{example}"


def not_understood(override: str, reason: str) -> str:
    """What to say of an override that cannot be read.

    Args:
        override: as it was typed.
        reason: what Hydra's parser says.
    """
    key, mark, value = override.partition("=")
    if override[:1] in ("'", '"') and override[:1] == override[-1:]:
        bare = override.strip("'\"")
        return f'{override}: quotes are double ones in this shell: "{bare}"'
    if override.count("'") % 2 or override.count('"') % 2:
        return f"{override}: a quote is missing"
    if open_brackets(value):
        return f"{override}: a bracket is missing"
    if not re.fullmatch(KEY, key):
        return f"{override}: no key or group has such characters.\n{ALL_KEYS}"
    if value.startswith("="):
        return f"{override}: one = is enough: {key}={value.lstrip('=')}"
    if mark and value.startswith("{") and ":" not in value:
        in_brackets = f"[{value.strip('{}')}]"
        return f"{override}: a list has square brackets: {as_override(key, in_brackets)}"
    lines = [line for line in reason.splitlines() if not line.startswith(("See ", "Error parsing", "Lexer"))]
    why = f" ({lines[0].strip()})" if lines and lines[0].strip(" ^") else ""
    quoted = f"A value with special characters has quotes within quotes: \"{key}='{value}'\""
    return f"{override}: not understood{why}.\n{quoted}"


def open_brackets(text: str) -> int:
    """Brackets of any kind that are open at the end of a text; below 0 if more are closed than opened."""
    return sum(text.count(bracket) for bracket in "[({") - sum(text.count(bracket) for bracket in "])}")
