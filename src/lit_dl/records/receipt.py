"""``receipt.json``: what it takes to train a run's first steps again, and to hold them against what they gave."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from lit_dl.records.checking import known_fields
from lit_dl.records.files import RECEIPT_FILE, write_json
from lit_dl.records.reading import read_json, refusing

SCHEMA = 1
MOST = 4096  # threads or processes that are believed; torch is told to take so many


@dataclass
class StepReceipt:
    """What a step gave."""

    losses: list[str]  # of each of its batches, as float.hex writes it, so with every bit
    layers: dict[str, str]  # of each layer the SHA-256 of its parameters after the step

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "") -> "StepReceipt":
        """From what ``asdict`` gave.

        Raises:
            ValueError: if it is no such thing.
        """
        step = cls(**known_fields(content, cls, where))
        for loss in step.losses:
            float.fromhex(loss)
        return step


@dataclass
class ReceiptRecord:
    """The content of receipt.json."""

    config: dict[str, Any] = field(default_factory=dict)  # as it was composed
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)  # name, sizes, sha256 of what was trained on
    environment: dict[str, Any] = field(default_factory=dict)  # see lit_dl.records.environment
    threads: int = 1  # of torch
    processes: int = 1  # that trained together
    steps: list[StepReceipt] = field(default_factory=list)  # the first ones
    unknown: dict[str, Any] = field(default_factory=dict)  # keys of a newer lit_dl


class Difference(NamedTuple):
    """Where two trainings part."""

    step: int  # from 1 up
    losses: tuple[str, str] | None  # the first that differ, recorded and made again; None where they are the same
    layers: list[str]  # that differ after the step


def write_receipt(receipt: ReceiptRecord, folder: Path) -> None:
    """Write ``receipt.json``, atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    content = asdict(receipt)
    write_json(folder / RECEIPT_FILE, SCHEMA, content, content.pop("unknown"), indent=2)


def read_receipt(folder: Path) -> ReceiptRecord:
    """The receipt of a run folder.

    Raises:
        FileNotFoundError: if it has none.
        ValueError: if it is damaged.
    """
    path = folder / RECEIPT_FILE
    receipt = read_json(path, ReceiptRecord, "a run's first steps")
    with refusing(path, "a run's first steps"):
        _check(receipt)
    return receipt


def first_difference(recorded: Sequence[StepReceipt], again: Sequence[StepReceipt]) -> Difference | None:
    """The first step that is not the same to the bit; None if there is none.

    A step that one of them did not come to is none of theirs: every layer of it differs.
    """
    for number, (one, other) in enumerate(zip_longest(recorded, again), 1):
        if one is None or other is None:
            return Difference(number, None, list((one or other).layers))
        pairs = zip_longest(one.losses, other.losses, fillvalue="none")
        losses = next((pair for pair in pairs if pair[0] != pair[1]), None)
        names = list(dict.fromkeys([*one.layers, *other.layers]))
        layers = [name for name in names if one.layers.get(name) != other.layers.get(name)]
        if losses is not None or layers:
            return Difference(number, losses, layers)
    return None


def differing_keys(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By key, as ``optimizer.lr``, what two configs have, where it is not the same; None stands for nothing."""
    one, other = _flat(recorded), _flat(here)
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def _check(receipt: ReceiptRecord) -> None:
    """Whether counts are counts.

    Raises:
        ValueError: if not.
    """
    for count in (receipt.threads, receipt.processes):
        if not 1 <= count <= MOST:
            raise ValueError(f"{count} is no count of threads or processes")
    if not receipt.config:
        raise ValueError("there is no config")


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A config's values by their whole key; an empty mapping is a value."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found
