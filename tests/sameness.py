"""What two run folders have to have in common, to be those of the same training, to the bit and times apart."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from lit_dl import records

STATES = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "random")
TIMES = ("seconds", "diagnostics_seconds", "samples_per_second")


def left_by(folder: Path) -> dict[str, Any]:
    """All that a run left, by where it is found; tensors as bytes, without what is a time."""
    found: dict[str, Any] = {"files": sorted(str(path.relative_to(folder)) for path in _files(folder))}
    for name in (records.BEST, records.LAST):
        path = folder / records.CHECKPOINTS / f"{name}.ckpt"
        assert not records.is_damaged(path)
        checkpoint = torch.load(path, weights_only=True)
        found[f"{name}.ckpt"] = {key: _bytes(checkpoint[key]) for key in STATES}
    metrics = json.loads((folder / records.METRICS_FILE).read_text())
    found["metrics"] = {key: value for key, value in metrics.items() if key not in TIMES}
    curves = json.loads((folder / records.CURVES_FILE).read_text())
    curves["points"].pop("seconds")
    found["curves"] = curves
    found["receipt"] = json.loads((folder / records.RECEIPT_FILE).read_text(encoding="utf-8"))
    found["pictures"] = {path.name: path.read_bytes() for path in folder.glob("*.[pg][ni][gf]")}
    found["events"] = events_of(folder)
    return found


def events_of(folder: Path) -> dict[tuple[str, int], list[Any]]:
    """What TensorBoard's files hold, by tag and step; without the image that is renewed by the clock."""
    found: dict[tuple[str, int], list[Any]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag not in ("gradient_flow", "custom_scalars__config__") and "_hparams_" not in value.tag:
                    found.setdefault((value.tag, event.step), []).append(value.tensor.SerializeToString())
    return found


def check_same(whole: dict[str, Any], other: dict[str, Any]) -> None:
    """Name the first thing that differs."""
    for part, expected in whole.items():
        found = other[part]
        if isinstance(expected, dict):
            assert found.keys() == expected.keys(), (part, found.keys() ^ expected.keys())
            for key in expected:
                assert found[key] == expected[key], (part, key)
        assert found == expected, part
    once = Counter({key: len(values) for key, values in other["events"].items()})
    assert once == {key: len(values) for key, values in whole["events"].items()}


def _files(folder: Path) -> list[Path]:
    """All files but the log, which tells both of the run and of its going on, and the lock."""
    names = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in names if not path.name.startswith(("events.", "train.log", ".lock"))]


def _bytes(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _bytes(each) for key, each in value.items()}
    return [_bytes(each) for each in value] if isinstance(value, list | tuple) else value
