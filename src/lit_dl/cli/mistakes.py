"""What can be seen to be wrong in a command as it was typed, before Hydra reads it and anything runs."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from lit_dl.cli import catalogue
from lit_dl.cli.hints import open_brackets
from lit_dl.cli.near import as_a_choice, as_override, did_you_mean, instead_of_key, near_choices, number
from lit_dl.cli.synonyms import folded
from lit_dl.cli.typed import ALONE, CONFIG_DIR, HELP, MULTIRUN, TAKES, WITH_A_VALUE_OR_NONE, WITH_VALUE, Typed
from lit_dl.errors import CommandError
from lit_dl.overrides import Override, is_override, read_all

MOST_LISTED = 10  # values that a range is written out to
WORDS = "Settings are typed group=choice or key=value. All of them: python -m lit_dl.train --help"


def check_typed(arguments: Sequence[str]) -> None:
    """Refuse a command that nobody can have meant.

    Raises:
        CommandError: for a flag that is not there or has no value, a word that is neither flag nor override, a sweep
            over nothing, a group that is given what is no choice, a key that nothing would read.
    """
    typed = Typed.read(arguments)
    where = catalogue.folders(typed.values(CONFIG_DIR))
    _check_flags(typed, arguments, where)
    _check_words(typed.words, arguments, where)
    overrides = read_all(filter(is_override, typed.words))
    if typed.has(MULTIRUN) and not overrides:
        raise CommandError(
            "-m: there is nothing to run. Name what is to vary: python -m lit_dl.train -m data=digits seed=1,2,3"
        )
    if typed.has({"--"}) and not typed.words:
        raise CommandError("--: nothing follows it")
    for override in overrides:
        _check_group(override, where)
        _check_range(override, arguments, where)
        _check_addition(override, arguments, where)


def _check_flags(typed: Typed, arguments: Sequence[str], where: Sequence[Path]) -> None:
    for name, value in typed.flags:
        if name in WITH_VALUE and not value:
            raise CommandError(f"{name}: a value is missing. It takes {TAKES.get(name, 'one word')}")
        if name in ("--cfg", "-c") and value not in ("job", "hydra", "all"):
            raise CommandError(f"{name} {value}: it takes {TAKES[name]}")
        if name in ALONE - HELP and value is not None:
            raise CommandError(f"{name}={value}: {name} takes no value")
        if name in CONFIG_DIR and value and not _is_folder(value):
            raise CommandError(f"{name} {value}: there is no such folder")
        if name in CONFIG_DIR and value and "=" in value and f"{name}={value}" not in arguments:
            raise CommandError(f"{name} {value}: a folder with = in its name is typed {name}={value}")
        if name not in WITH_VALUE | WITH_A_VALUE_OR_NONE | ALONE:
            raise CommandError(_no_such_flag(name, value, arguments, where))


def _no_such_flag(flag: str, value: str | None, arguments: Sequence[str], where: Sequence[Path]) -> str:
    after = list(arguments[arguments.index(flag) + 1 :]) if value is None else [value]
    given = after[0] if after and "=" not in after[0] and not after[0].startswith("-") else ""
    key = flag.lstrip("-").replace("-", "_")
    shown = f"{flag} {given}".strip()
    if key in [*catalogue.groups(where), *catalogue.settable(arguments, where)]:
        return f"{shown}: keys are typed without dashes: {as_override(key, given or 'VALUE')}"
    near = difflib.get_close_matches(flag, [*WITH_VALUE, *ALONE, "--info"], n=1, cutoff=0.75)
    if near and flag.startswith("--"):
        return f"{shown}: no such flag.{did_you_mean(near)}"
    hint = instead_of_key(key, given, arguments, where) or " An example: trainer.max_epochs=5."
    return f"{shown}: keys are typed without dashes.{hint}\n{WORDS}"


def _check_words(words: Sequence[str], arguments: Sequence[str], where: Sequence[Path]) -> None:
    """Refuse words that are no override: a shell has parted it, or a part of it is missing."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        after = words[place + 1 :]
        if parted := _parted_at_equals(before, word, after):
            key, _, value = parted.partition("=")
            raise CommandError(f"{parted}: type it without spaces: {as_override(key.strip(), value.strip())}")
        if word.startswith("~") or after[:1] == ["="] or ("=" in word and not word.startswith("=")):
            continue
        if "=" in before and (open_brackets(before) or before.startswith("'")):
            raise CommandError(_parted([before, *words[place:]]))
        raise CommandError(f"{word}: {_no_override(word, before, arguments, where)}")


def _parted(words: Sequence[str]) -> str:
    """What to say of a list with spaces in it, which a shell has parted."""
    whole = _up_to_bracket(words)
    if open_brackets(whole):
        return f"{whole}: a bracket is missing"
    bare = whole.strip("'")
    return f'{whole}: put it in quotes: "{bare}"'


def _up_to_bracket(words: Sequence[str]) -> str:
    """The words from the first to the one that closes the brackets it opens; two if it opens none."""
    ends = (end for end in range(2, len(words) + 1) if not open_brackets(" ".join(words[:end])))
    return " ".join(words[: next(ends, len(words))])


def _parted_at_equals(before: str, word: str, after: Sequence[str]) -> str:
    """An override with spaces around its ``=``, as it was typed; nothing if there is none."""
    if word == "=":
        return _up_to_bracket([f"{before} =", *after]).strip()
    if word.startswith("="):
        return _up_to_bracket([before, word, *after]) if before else ""
    if word.endswith("=") and after and "=" not in after[0]:
        return _up_to_bracket([word, *after])
    return _up_to_bracket([word, *after]) if "=" not in word and re.match("=.", "".join(after[:1])) else ""


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except OSError:  # for one, a word that is longer than a name may be
        return False


def _no_override(word: str, before: str, arguments: Sequence[str], where: Sequence[Path]) -> str:
    if word.startswith("="):
        return f"a group or a key is missing. {WORDS}"
    if choices := as_a_choice(word, where):
        return f"type {' or '.join(choices)}"
    if word in catalogue.groups(where):
        return f"type {word}=CHOICE. Its choices: python -m lit_dl.train --help {word}"
    settable = catalogue.settable(arguments, where)
    if word in settable:
        return f"type {word}=VALUE"
    key, mark, value = word.partition(":")
    if mark and (key in settable or key in catalogue.groups(where)):
        return f"type {as_override(key, value)}"
    if folded(word) in ("help", "version"):
        return f"type --{folded(word)}"
    if _is_folder(word):
        return f"to go on with a run, type resume={word}; to compare runs, python -m lit_dl.report {word}"
    if "=" in before:
        return f'it belongs to nothing. A value with a space is put in quotes: "{before} {word}"'
    return f"it is no setting. {WORDS}"


def _check_group(override: Override, where: Sequence[Path]) -> None:
    """Refuse to leave a group out, and to give it what is no name: a run needs one choice of each."""
    if override.group not in catalogue.groups(where):
        return
    names = [choice.name for choice in catalogue.choices(override.group, where)]
    for value in [""] if override.text.startswith("~") else override.value.split(","):
        is_name = re.fullmatch(r"(?!(true|false|null)$)[^\[{]*[^\W\d][^\[{]*", value, re.IGNORECASE)
        if "${" in value or (is_name and not number(value)):
            continue
        if override.group == "experiment" and value == "null":
            continue
        near = [f"{override.key}={name}" for name in near_choices(override.group, value, names)]
        raise CommandError(
            f"{override.text}: a group takes the name of a choice.{did_you_mean(near)} It can be {', '.join(names)}"
        )


def _check_range(override: Override, arguments: Sequence[str], where: Sequence[Path]) -> None:
    """Refuse ``seed=1-3``, which is no number."""
    ends = re.fullmatch(r"(\d+)(?:-|\.\.|:)(\d+)", override.value)
    if ends is None or not number(catalogue.settable(arguments, where).get(override.key)):
        return
    first, last = int(ends[1]), int(ends[2])
    values = ",".join(map(str, range(first, last + 1))) if 0 < last - first < MOST_LISTED else f"{first},{last}"
    raise CommandError(
        f"{override.text}: several values are typed {override.key}={values} or "
        f'"{override.key}=range({first},{last + 1})", with -m before them'
    )


def _check_addition(override: Override, arguments: Sequence[str], where: Sequence[Path]) -> None:
    """Refuse ``+lr=0.1``: a new key at the root, which nothing reads unless the command or the user's YAML names it."""
    own_yaml = len(where) > 1 or any(argument.startswith("hydra.searchpath") for argument in arguments)
    if not override.text.startswith("+") or re.search(r"[.@/]|^hydra", override.key) or own_yaml:
        return
    known = {*catalogue.groups(where), *catalogue.settable(arguments, where)}
    if override.key in known or any(f"{{{override.key}}}" in argument for argument in arguments):
        return
    hint = instead_of_key(override.key, override.value, arguments, where)
    raise CommandError(f"{override.text}: nothing reads this key.{hint}")
