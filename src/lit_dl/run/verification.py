"""A run held against what can be had here: config, data, surroundings, and its first steps trained again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lit_dl import records
from lit_dl.run.again import check_receipt, config_here, first_steps, recorded_config
from lit_dl.run.request import as_primitives

KEYS_SHOWN = 5  # of a config
ABSENT = "nothing"


@dataclass
class Comparison:
    """One thing that a result depends on."""

    name: str
    words: str  # same, or what was recorded and what is here
    is_same: bool


@dataclass
class Verification:
    """What came of it."""

    surroundings: list[Comparison]
    steps: Comparison

    @property
    def is_same(self) -> bool:
        """Whether the steps are the same to the bit, and config and data those of the run.

        Other versions, threads or devices do not count by themselves: they explain what differs, if anything does.
        """
        decisive = [each for each in self.surroundings if each.name in ("config", "data")]
        return all(each.is_same for each in (*decisive, self.steps))


def verify(folder: Path, may_change: tuple[str, ...], trust: bool = False) -> Verification:
    """Hold a run folder's receipt against this machine, this lit_dl and these data.

    The steps are trained with the recorded config on as many threads as the run had, in a folder of their own.

    Args:
        folder: of the run; nothing in it is changed.
        may_change: beginnings of the keys in which a resumed run may differ from its receipt.
        trust: build whatever the folder names.

    Raises:
        CommandError: if the recorded config cannot be built here.
        ValueError: if it is no run folder, has no receipt, or one that cannot be verified, or names what is not known
            and not trusted.
        OSError: if data is missing.
        KeyboardInterrupt: if the user or the system stopped it.
    """
    import torch

    from lit_dl.lightning_seams import be_quiet

    be_quiet()
    config = as_primitives(recorded_config(folder, trust))
    receipt = _receipt_of(folder)
    if not trust:
        check_receipt(receipt, folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(receipt.threads)
    try:
        with TemporaryDirectory(prefix="lit_dl-verify-") as place:
            made = first_steps(receipt, Path(place))
    finally:
        torch.set_num_threads(threads)
    surroundings = [
        Comparison("config", *_of_config(receipt, folder, config, may_change, trust)),
        Comparison("data", *_of_values({"sha256": receipt.data.get("sha256")}, {"sha256": made.data["sha256"]})),
        *_of_environment(receipt.environment, made.environment),
        Comparison("threads", *_of_threads(receipt.threads, threads)),
    ]
    return Verification(surroundings, Comparison("first steps", *_of_steps(receipt, made)))


def _receipt_of(folder: Path) -> records.ReceiptRecord:
    try:
        receipt = records.read_receipt(folder)
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} has no {records.RECEIPT_FILE} to verify: older versions of lit_dl wrote none, nor has one "
            "that was stopped before its first step"
        ) from error
    if not receipt.steps:
        raise ValueError(f"{folder / records.RECEIPT_FILE} has no steps: the run was stopped before its first one")
    if receipt.processes > 1:
        raise ValueError(
            f"{folder} was trained by {receipt.processes} processes, whose sums another number rounds otherwise; only "
            "runs of one process can be verified"
        )
    return receipt


def _of_config(
    receipt: records.ReceiptRecord, folder: Path, config: Mapping[str, Any], may_change: tuple[str, ...], trust: bool
) -> tuple[str, bool]:
    """The config that the overrides give here, and that in the run folder, against the recorded one."""
    own = records.differing_keys(receipt.config, config)
    own = {key: pair for key, pair in own.items() if not key.startswith(may_change)}
    here: dict[str, tuple[Any, Any]] = {}
    found = []
    try:
        here = records.differing_keys(receipt.config, config_here(receipt, folder, trust))
    except ValueError as error:
        found.append(f"the overrides cannot be composed here: {error}")
    found += [f"{key}: recorded {_shown(one)}, here {_shown(other)}" for key, (one, other) in here.items()]
    file = f"in {records.HYDRA_FOLDER}/config.yaml"
    found += [
        f"{key}: recorded {_shown(one)}, {file} {_shown(other)}"
        for key, (one, other) in own.items()
        if here.get(key) != (one, other)
    ]
    more = len(found) - KEYS_SHOWN
    return _in_lines([*found[:KEYS_SHOWN], *([f"and {more} more"] if more > 0 else [])]), not found


def _of_environment(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Comparison]:
    names = {"versions": ("python", "packages"), "platform": ("platform",), "device": ("device",)}
    for name, keys in names.items():
        pairs = ({key: each.get(key) for key in keys} for each in (recorded, here))
        yield Comparison(name, *_of_values(*pairs))
    words, is_same = _of_values({"": recorded.get("git_commit")}, {"": here.get("git_commit")})
    if is_same and str(here.get("git_commit")).endswith("-dirty"):
        words = "same, with changes that are not committed, which may be others"
    yield Comparison("git commit", words, is_same)


def _of_values(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, bool]:
    differing = records.differing_keys(recorded, here)
    named = [(key.removeprefix("packages."), pair) for key, pair in differing.items()]
    found = [
        f"{key + ': ' if len(recorded) > 1 else ''}recorded {_shown(one)}, here {_shown(other)}"
        for key, (one, other) in named
    ]
    return _in_lines(found), not found


def _of_threads(recorded: int, here: int) -> tuple[str, bool]:
    if recorded == here:
        return "same", True
    return f"recorded {recorded}, here {here}; the steps were made with {recorded}", False


def _of_steps(receipt: records.ReceiptRecord, made: records.ReceiptRecord) -> tuple[str, bool]:
    count = f"{len(receipt.steps)} steps" if len(receipt.steps) > 1 else "1 step"
    found = records.first_difference(receipt.steps, made.steps)
    if found is None:
        return f"same to the bit: {count}, each loss and each layer's parameters", True
    words = f"step {found.step} of {len(receipt.steps)} is the first that differs"
    if found.losses is not None:
        words += f": its loss, recorded {_number(found.losses[0])}, here {_number(found.losses[1])}"
    if found.layers:
        others = len(found.layers) - 1
        words += f"{'; then ' if found.losses else ': '}the parameters of {found.layers[0]}"
        words += f" and {others} more layers" if others > 1 else f" and {found.layers[1]}" if others else ""
    gap = _largest_gap(receipt, made)
    return words + ("" if gap is None else f"\nover all {count} losses differ by {gap:.3g} at most"), False


def _largest_gap(receipt: records.ReceiptRecord, made: records.ReceiptRecord) -> float | None:
    """Between losses that both have and that are numbers; None where there are none."""
    pairs = zip(receipt.steps, made.steps, strict=False)
    each = [pair for one, other in pairs for pair in zip(one.losses, other.losses, strict=False)]
    gaps = [abs(float.fromhex(one) - float.fromhex(other)) for one, other in each]
    numbers = [gap for gap in gaps if gap == gap]
    return max(numbers, default=None)


def _number(loss: str) -> str:
    return ABSENT if loss == "none" else f"{float.fromhex(loss):.9g}"


def _shown(value: Any) -> str:
    return ABSENT if value is None else str(value)


def _in_lines(found: list[str]) -> str:
    return "\n".join(found) or "same"
