"""Whether a run folder may be gone on with as it is: what it names is looked at before anything of it is built.

A folder may come from a stranger. Its config and overrides may choose and set values. They may name other classes, set
what Hydra does, ask for environment variables or lead out of the folder only if the user says ``trust=true``, for a
folder that he trusts like a program.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lit_dl.run.targets import TARGET, Known, known, leaves

MOST = 20  # lines of what was found
MULTIRUN = ("-m", "--multirun")
CHOICE = r"(?!.*\.\.)[\w.-]+(/[\w.-]+)*"  # the name of a YAML below its group
JOB = r"(?!\.)[\w.=+-]+"  # the name of a job's folder, as records.file_name makes it
REFERENCE = r"\$\{(?!hydra\b)\w[\w.]*\}"  # to another value of the config, by no resolver; and nothing beside it
READ = r"data(\.base)?\.path"  # files of data, which are read and never unpickled, and may lie anywhere
ON_THIS_MACHINE = r"(?!//|\\\\)(?!.*://).*"  # a path, and no address or share, which would be told who asks
STRATEGY = r"auto|ddp(_find_unused_parameters_(true|false))?"  # the others load checkpoints by themselves
HYDRA = {  # what a sweep may have recorded of Hydra's own keys, with the values
    r"hydra\.mode": r"RUN|MULTIRUN",
    r"hydra/launcher": r"basic|joblib|ray|submitit_local|submitit_slurm",
    r"hydra/sweeper": r"grid|optuna",
    r"hydra\.sweeper\.(n_trials|n_jobs|seed)": r"\d+",
    r"hydra\.sweeper\.(sampler|direction|study_name)": r"[\w-]+",
    r"hydra\.launcher\.\w+": r"-?[\d.]+|True|False|None",
}


def check_run(
    folder: Path, overrides: Iterable[str], config_folders: Sequence[Path] = (), how: str = "trust=true"
) -> None:
    """Refuse to go on with a run that names what is not known.

    Args:
        folder: of the run.
        overrides: that it was started with.
        config_folders: that the user names now.
        how: the way to allow it all the same.

    Raises:
        ValueError: names each thing, and the way to allow it.
    """
    names = known(config_folders)
    _refuse([*_of_folder(folder), *_of_overrides(overrides, names, folder)], how)


def check_sweep(
    folder: Path, arguments: Iterable[str], jobs: Mapping[str, Iterable[str]], config_folders: Sequence[Path]
) -> None:
    """The same of a sweep.

    Args:
        folder: of the sweep.
        arguments: that it was started with.
        jobs: the overrides of each, by the name of its folder.
        config_folders: that the user names now.

    Raises:
        ValueError: names each thing, and the way to allow it.
    """
    names, arguments = known(config_folders), list(arguments)
    flags = [argument for argument in arguments if argument.startswith("-") or not re.search("[=~]", argument)]
    found = [*_of_folder(folder), *_of_flags(flags, config_folders)]
    found += [f"the job {_shown(name)} is no name of a folder" for name in jobs if not re.fullmatch(JOB, name)]
    if (folder / ".submitit").exists():
        found.append(".submitit has pickles, which a cluster's launcher may load")
    texts = dict.fromkeys([*(a for a in arguments if a not in flags), *(o for job in jobs.values() for o in job)])
    _refuse([*found, *_of_overrides(texts, names, folder)], "trust=true")


def check_config(folder: Path, cfg: DictConfig, parts: Sequence[str] | None = None) -> None:
    """The same of a config from which parts are built, or all of it.

    Raises:
        ValueError: names each thing, and the way to allow it; or if the config cannot be read.
    """
    names, whole = known(), OmegaConf.to_container(cfg, resolve=False)
    found = [*_of_folder(folder), *(why for key, value in leaves(whole) if (why := _asks(key, value, names)))]
    if not found:  # so that nothing is resolved before
        for key, value in (leaf for part in parts or map(str, cfg) for leaf in leaves(_resolved(cfg, part), part)):
            if why := _builds(key, value, names) or _leads(key, value, folder):
                found.append(why)
    _refuse(found, "--trust")


def _resolved(cfg: DictConfig, part: str) -> Any:
    try:
        node = cfg[part]
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    except (OmegaConfBaseException, KeyError, RecursionError) as error:
        raise ValueError(f"{part} of its config cannot be read: {_shown(error)}") from error


def _refuse(found: Sequence[str], how: str) -> None:
    if not found:
        return
    found = sorted(found, key=lambda line: " builds " not in line)  # code first, and never left out by the rest
    lines = [*found[:MOST], *([f"and {len(found) - MOST} more"] if len(found) > MOST else [])]
    raise ValueError(
        "the folder asks for more than the classes and values that lit_dl knows:\n"
        + "".join(f"  {line}\n" for line in lines)
        + f"If it is yours, or from somebody whose programs you would run, add {how}"
    )


def _of_folder(folder: Path) -> Iterator[str]:
    """Links that lead out of a folder, what is no ordinary file, and a path that would be read as more than a path."""
    if re.search(r'["$\n]|%\w+%', str(folder)):
        yield "the path of the folder has a quote, $ or % in it: rename it"
    inside = os.path.realpath(folder)
    for place, folders, others in os.walk(folder):
        for name in [*folders, *others]:
            path = os.path.join(place, name)  # noqa: PTH118  # a sweep has thousands of files
            target = os.path.realpath(path)
            if not Path(target).is_relative_to(inside):
                yield f"{_shown(os.path.relpath(path, folder))} leads to {_shown(target)}"
            elif not stat.S_ISREG(mode := os.lstat(path).st_mode) and not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
                yield f"{_shown(os.path.relpath(path, folder))} is no ordinary file"


def _of_flags(flags: Iterable[str], config_folders: Sequence[Path]) -> Iterator[str]:
    for flag in flags:
        if flag in MULTIRUN or (flag.startswith("--config-dir=") and config_folders):
            continue
        again = ", if it is yours: name it again" if flag.startswith("--config-dir=") else ""
        yield f"{_shown(flag)} is a flag of the command that began it{again}"


def _of_overrides(texts: Iterable[str], names: Known, folder: Path) -> Iterator[str]:
    parser = OverridesParser.create()
    for text in texts:
        try:
            override = parser.parse_override(text)
        except (HydraException, ValueError, TypeError, RecursionError) as error:
            yield f"{_shown(text)} cannot be read as an override ({_shown(type(error).__name__)})"
            continue
        yield from _of_override(override, names, folder)


def _of_override(override: Override, names: Known, folder: Path) -> Iterator[str]:
    key, package = override.key_or_group, override.package
    place = key if package is None else package
    values = list(_values(override.value(), place))
    if re.match(r"hydra\b", key) or re.match(r"hydra\b", place):
        allowed = next((value for name, value in HYDRA.items() if re.fullmatch(name, key) and place == key), None)
        if allowed is None or not all(re.fullmatch(allowed, str(value)) for _, value in values):
            yield f"{_shown(override.input_line)} sets what Hydra does"
        return
    if package is not None and package != key and names.homes.get(package) != key:
        yield f"{_shown(override.input_line)} puts {_shown(key)} where it does not belong"
    is_group = "/" in key or package is not None or any((root / key).is_dir() for root in names.folders)
    if is_group and key.partition("/")[0] not in names.groups:
        yield f"{_shown(override.input_line)} chooses from no group of lit_dl"
    for name, value in values:
        if is_group and name == place and isinstance(value, str) and not re.fullmatch(CHOICE, value):
            yield f"{_shown(name)}={_shown(value)} is no name of a choice"
        elif why := _asks(name, value, names) or _builds(name, value, names) or _leads(name, value, folder):
            yield why
        elif name == "trainer.strategy" and isinstance(value, str) and not re.fullmatch(STRATEGY, value):
            yield f"{name}={_shown(value)} loads checkpoints in a way of its own"


def _values(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """What an override may set, each of the values that are swept over, with dotted keys."""
    if isinstance(value, ChoiceSweep):
        for each in value.list:
            yield from _values(each, place)
    elif isinstance(value, RangeSweep | IntervalSweep | Glob):
        return  # numbers, or choices that are there
    else:
        yield from leaves(_plain(value), place)


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _builds(key: str, value: object, names: Known) -> str | None:
    """What is said of a class that is not known at that place."""
    parts = key.split(".")
    if TARGET not in parts:
        return None
    home = ".".join(parts[: parts.index(TARGET)])
    return None if parts[-1] == TARGET and names.allows(home, value) else f"{_shown(home)} builds {_shown(value)}"


def _asks(key: str, value: object, names: Known) -> str | None:
    """What is said of a value that is resolved from more than the config, as from environment variables."""
    if not isinstance(value, str) or value in names.interpolations:
        return None
    if not re.search(r"\$|%\w+%", value) or re.fullmatch(REFERENCE, value):  # TensorBoard too replaces $NAME and %NAME%
        return None
    return f"{_shown(key)}={_shown(value)} asks for more than the config has"


def _leads(key: str, value: object, folder: Path) -> str | None:
    """What is said of an address, or of a path that leads out of the run folder and of the folder one is in."""
    if not isinstance(value, str) or (re.fullmatch(READ, key) and re.fullmatch(ON_THIS_MACHINE, value)):
        return None
    parts = re.split(r"[/\\]", value)
    if "://" not in value:
        if ".." not in parts and parts[0] not in ("", "~") and not PureWindowsPath(value).drive:
            return None
        roots = [Path.cwd(), folder, *map(Path, filter(None, [os.environ.get("LIT_DL_DATA_DIR")]))]
        path = Path(os.path.normpath(Path.cwd() / value))
        if value == "" or (
            parts[0] != "~" and any(path.is_relative_to(os.path.normpath(root.absolute())) for root in roots)
        ):
            return None
    return f"{_shown(key)}={_shown(value)} leads out of the folder you are in"


def _shown(value: object) -> str:
    """As it can be printed: what a stranger wrote must not steer the terminal."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= 100 else f"{text[:100]}..."
