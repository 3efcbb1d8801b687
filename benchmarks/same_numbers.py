"""Shows that a refactoring changed no number: records what some commands give before and after it, and compares.

    python benchmarks/same_numbers.py record before.json
    python benchmarks/same_numbers.py record after.json --python PATH/TO/ANOTHER/INSTALLATION/bin/python
    python benchmarks/same_numbers.py compare before.json after.json

Metrics, findings, curves and reports have to agree to the bit; seconds are left out. Record both on the same machine
and with the same versions of torch and the rest: others round otherwise. A recording takes about five minutes.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# By name, the steps of each command: arguments of `python -m lit_dl.train`, quoted as for a shell.
COMMANDS = {
    "mlp": ["data=digits"],
    "mlp_regularized": [
        "data=digits dropout=0.2 model.norm=batch optimizer=adamw scheduler=cosine trainer.gradient_clip_val=0.5"
    ],
    "cnn": ["data=digits model=cnn trainer.max_epochs=3"],
    "rmsprop_onecycle_accumulated": [
        "data=digits optimizer=rmsprop scheduler=onecycle trainer.accumulate_grad_batches=2 trainer.log_every_n_steps=1"
    ],
    "diagnostics_full": ["data=digits optimizer=adam diagnostics=full"],
    "rates_by_layer": [
        "data=digits model.norm=batch optimizer=adamw optimizer.weight_decay=0.1 optimizer.layer_lr_decay=0.5 "
        "optimizer.decay_biases_and_norms=false"
    ],
    "early_stopping": ["data=digits data.train_size=200 trainer.max_epochs=200 early_stopping=on"],
    "resume": ["data=digits trainer.max_epochs=2 hydra.run.dir=run", "resume=run trainer.max_epochs=4"],
    "two_processes": ["data=digits trainer.devices=2 trainer.strategy=ddp"],
    "grid": ["-m data=digits optimizer=sgd,adam seed=1,2 trainer.max_epochs=3"],
    "search": [
        "-m data=digits hydra/sweeper=optuna hydra.sweeper.n_trials=4 'optimizer.lr=tag(log,interval(1e-4,1e-1))'"
    ],
    "cross_validation": ["experiment=cross_validation trainer.max_epochs=3"],
    "spiral": ["experiment=spiral_relu trainer.max_epochs=100"],
    "himmelblau": ["experiment=himmelblau trainer.max_steps=3000"],
    "regression": ["experiment=regression"],
    "regression_parallel": ["experiment=regression_parallel"],
    "vanishing_gradients": ["experiment=vanishing_gradients"],
    "exploding_gradients": ["experiment=exploding_gradients"],
    "dead_relu": ["experiment=dead_relu"],
    "saturated_tanh": ["experiment=saturated_tanh"],
    "learning_rate_too_high": ["experiment=learning_rate_too_high"],
    "learning_rate_too_low": ["experiment=learning_rate_too_low"],
    "overfitting": ["experiment=overfitting"],
    "underfitting": ["experiment=underfitting"],
    "diverged": ["data=digits optimizer=sgd optimizer.lr=1e6"],
}
ON_CPU = "trainer.accelerator=cpu"  # the only device whose sums come in the same order each time
RECORDED = ("status", "metrics", "diagnosis", "epochs", "steps", "best_checkpoint")  # of metrics.json
DATE = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d.*")  # the name of a run's folder, unless it is a job of a sweep
TIME = re.compile(r"seconds.*|time|to [\d.]+")  # columns of a report
SHOWN = 5  # differences of a command, and new keys


def record(file: Path, names: Iterable[str], python: Path, keep: Path | None) -> bool:
    """Write into ``file`` what each command gave; whether all of them ended well."""
    recorded = {}
    for name in names:
        begun = time.perf_counter()
        with work_folder(name, keep) as folder:
            code = train(COMMANDS[name], folder, python)
            recorded[name] = {"exit_code": code, **numbers(folder)}
        statuses = sorted({run["status"] for run in recorded[name]["runs"].values()})
        print(f"{name:30} {time.perf_counter() - begun:5.1f} s  exit code {code}  {', '.join(statuses)}", flush=True)
    file.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    return all(command["exit_code"] == 0 for command in recorded.values())


@contextmanager
def work_folder(name: str, keep: Path | None) -> Iterator[Path]:
    """An empty folder, below ``keep`` if that is given, else one that vanishes."""
    if keep is not None:
        (keep / name).mkdir(parents=True)
        yield keep / name
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def train(steps: Iterable[str], folder: Path, python: Path) -> int:
    """Run the steps up to the first that fails, whose words are printed; the last exit code."""
    for step in steps:
        done = subprocess.run(
            [python, "-m", "lit_dl.train", *shlex.split(step), ON_CPU],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # sums in another number of threads round otherwise
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            print(f"{shlex.join(map(str, done.args))}\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
            return done.returncode
    return 0


def numbers(folder: Path) -> dict[str, Any]:
    """Every run below ``folder`` by its job's name, and the tables of a sweep's report."""
    found: dict[str, Any] = {
        "runs": {DATE.sub("run", path.parent.name): run_numbers(path) for path in sorted(folder.rglob("metrics.json"))}
    }
    for path in folder.rglob("report.csv"):
        with path.open(encoding="utf-8", newline="") as lines:
            found["jobs"] = [without_times(row) for row in csv.DictReader(lines)]
    for path in folder.rglob("report.md"):
        found["ranking"] = [without_times(row) for row in markdown_rows(path.read_text(encoding="utf-8"))]
    return found


def run_numbers(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    run = {key: content[key] for key in RECORDED if key in content}
    curves = path.with_name("curves.json")
    return {**run, "curves_sha256": curves_digests(curves) if curves.exists() else None}


def curves_digests(path: Path) -> dict[str, str]:
    """SHA-256 of each curve and of the gradient flow, less the times."""
    curves = json.loads(path.read_text(encoding="utf-8"))
    points = {f"points {name}": values for name, values in curves.pop("points").items() if name != "seconds"}
    parts = {**curves, **points}
    return {name: hashlib.sha256(json.dumps(part).encode()).hexdigest() for name, part in parts.items()}


def markdown_rows(text: str) -> list[dict[str, str]]:
    """The rows of the only table in ``text``, best setting first."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    head, _, *rows = cells
    return [dict(zip(head, row, strict=True)) for row in rows]


def without_times(row: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if not TIME.fullmatch(name)}


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Print in what each command differs; whether none does."""
    same = 0
    for name, recorded in before.items():
        differing, new = differences(recorded, after.get(name))
        same += not differing
        listed = f"; new keys: {len(new)} ({', '.join(shortened(new))})" if new else ""
        print(f"{name:30} {'differs' if differing else 'same'}{listed}")
        for line in shortened(differing):
            print(f"    {line}")
    if added := [name for name in after if name not in before]:
        print(f"only recorded after: {', '.join(added)}")
    print(f"{same} of {len(before)} commands: the same to the bit")
    return same == len(before)


def differences(before: Any, after: Any) -> tuple[list[str], list[str]]:
    """Of one command what differs, a line each, and the paths that only ``after`` has."""
    if after is None:
        return ["not recorded after"], []
    if before["exit_code"] != 0 or not before["runs"]:
        return [f"exit code {before['exit_code']}, {len(before['runs'])} runs before: that shows nothing"], []
    old, new = dict(leaves(before)), dict(leaves(after))
    differing = [path for path, value in old.items() if new.get(path) != value]
    lines = [f"{path}: {old[path]} before, {new.get(path, 'nothing')} after" for path in differing]
    return lines, [path for path in new if path not in old]


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and JSON text of each value, in which floats that differ in a bit differ.

    A list's length is one of the values, so that a finding more is a difference and no new key.
    """
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, dict):
        entries = node.items()
    elif isinstance(node, list):
        yield f"{path} length", str(len(node))
        entries = enumerate(node)
    else:
        yield path, json.dumps(node, ensure_ascii=False)
    for key, value in entries:
        yield from leaves(value, f"{path} {key}".lstrip())


def shortened(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"and {more} more"] if more > 0 else lines


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs = parser.add_subparsers(dest="program", required=True)
    recording = programs.add_parser("record", help="run the commands and write down their numbers")
    recording.add_argument("file", type=Path)
    recording.add_argument("--keep", type=Path, metavar="FOLDER", help="where the run folders stay, one a command")
    recording.add_argument("--only", nargs="+", metavar="NAME", choices=COMMANDS, default=list(COMMANDS))
    recording.add_argument("--python", type=Path, default=Path(sys.executable), help="of the installation to record")
    comparing = programs.add_parser("compare", help="say which commands gave other numbers; exit code 1 if any did")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.program == "record" and options.keep is not None and options.keep.exists():
        parser.error(f"--keep {options.keep}: it exists already; name a new folder")
    return options


def main() -> int:
    options = arguments()
    if options.program == "compare":
        before, after = (json.loads(file.read_text(encoding="utf-8")) for file in (options.before, options.after))
        return int(not compare(before, after))
    return int(not record(options.file, options.only, options.python.absolute(), options.keep))


if __name__ == "__main__":
    sys.exit(main())
