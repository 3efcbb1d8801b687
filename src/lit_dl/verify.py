"""Train a run's first steps again and hold them bit for bit: ``python -m lit_dl.verify RUN_FOLDER``.

The run folder's ``receipt.json`` says with what the run was started and what its first steps gave. All that a result
depends on is compared with what is here, one line each, and the steps are made again in a temporary folder.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lit_dl.cli.hydra_job import FAILURE, INTERRUPTED, OK, WRONG_COMMAND, find_users_classes
from lit_dl.cli.process import process_put_back
from lit_dl.cli.resume import MAY_CHANGE
from lit_dl.console import only_logged, say, say_error
from lit_dl.errors import CommandError
from lit_dl.run.verification import Comparison, Verification
from lit_dl.run.verification import verify as verified
from lit_dl.shell import any_text_printable

WIDTH = 13  # of the names


@any_text_printable()
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives the exit code: 0 the same, 1 not the same or a failure, 2 if there is nothing to verify."""
    parser = argparse.ArgumentParser(prog="python -m lit_dl.verify", description="Train a run's first steps again.")
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--trust", action="store_true", help="build whatever classes the folder names")
    args = parser.parse_args(arguments)
    find_users_classes()
    try:
        with process_put_back():
            found = verify(args.folder, args.trust)
    except (CommandError, ValueError) as error:
        say_error(str(error))
        return WRONG_COMMAND
    except OSError as error:
        say_error(str(error))
        return FAILURE
    except KeyboardInterrupt:
        say_error("interrupted")
        return INTERRUPTED
    tell(found)
    return OK if found.is_same else FAILURE


def verify(folder: Path, trust: bool = False) -> Verification:
    """Hold a run against what is here, without a word of its training.

    Raises:
        CommandError, ValueError, OSError, KeyboardInterrupt: as ``lit_dl.run.verification.verify``.
    """
    with only_logged():
        return verified(folder, (*MAY_CHANGE, "resume"), trust)


def tell(found: Verification) -> None:
    """Say what is the same and what is not, one thing a line."""
    for each in (*found.surroundings, found.steps):
        say(_line(each), style=None if each.is_same else "yellow")


def _line(each: Comparison) -> str:
    return f"{each.name:<{WIDTH}}" + each.words.replace("\n", "\n" + " " * WIDTH)


if __name__ == "__main__":
    sys.exit(main())
