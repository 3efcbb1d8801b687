"""Compare runs: ``python -m lit_dl.report FOLDER... [--metric NAME] [--accuracy A] [--to FOLDER]``."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lit_dl import records
from lit_dl.console import say_error
from lit_dl.errors import wrong_number
from lit_dl.metrics import NAMES
from lit_dl.report import FILES, report
from lit_dl.shell import any_text_printable


@any_text_printable()
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives the exit code: 0, 1 if the files cannot be written, 2 if there is nothing to compare."""
    parser = argparse.ArgumentParser(
        prog="python -m lit_dl.report",
        description="Compare runs: a table here, and report.html, report.md and report.csv.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="run folders, sweeps, or any above")
    parser.add_argument("--metric", choices=NAMES, help="rank by it (default: the sweep's, else val/acc)")
    parser.add_argument("--accuracy", type=float, help="tell when it was reached (default: the sweep's, else 0.9)")
    parser.add_argument(
        "--to", type=Path, help="where the files go (default: the folder, if it is one with several runs)"
    )
    args = parser.parse_args(arguments)
    if args.accuracy is not None and (wrong := wrong_number(args.accuracy, 0, 1)):
        parser.error(f"argument --accuracy: {args.accuracy:g} is no accuracy; {wrong}")
    sweep = _sweep(args.folders)
    metric = args.metric or (sweep.metric if sweep else "val/acc")
    accuracy = args.accuracy if args.accuracy is not None else (sweep.accuracy if sweep else 0.9)
    try:
        report(args.folders, metric, accuracy, args.to or _place(args.folders))
    except ValueError as error:
        say_error(f"{error}\nName a run folder, a sweep folder, or one above such as outputs")
        return 2
    except OSError as error:
        say_error(f"cannot write {', '.join(FILES)}: {error}\nChoose another folder: --to FOLDER")
        return 1
    return 0


def _sweep(folders: Sequence[Path]) -> records.SweepRecord | None:
    """The first sweep among the folders, whose metric and accuracy are taken."""
    for folder in folders:
        try:
            return records.read_sweep(folder)
        except (OSError, ValueError):
            continue
    return None


def _place(folders: Sequence[Path]) -> Path:
    """One folder's report lies in it, unless it is a single run; that of several beside the other runs."""
    is_run = any(os.path.lexists(folders[0] / name) for name in (records.METRICS_FILE, records.HYDRA_FOLDER))
    if len(folders) == 1 and os.path.isdir(folders[0]) and not is_run:  # noqa: PTH112  # Path's may raise
        return folders[0]
    return Path("outputs") / "report" / time.strftime("%Y-%m-%d_%H-%M-%S")


if __name__ == "__main__":
    sys.exit(main())
