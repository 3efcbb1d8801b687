"""What commands there are: ``python -m lit_dl``."""

import sys
from collections.abc import Sequence

from lit_dl import __version__
from lit_dl.console import say_error

COMMANDS = {
    "train": "trains a network, or with -m a sweep of several; lit-dl is short for it",
    "report": "compares runs that are there already",
    "export": "writes the network of a run folder as ONNX",
    "replay": "repeats the step at which a run diverged, layer by layer",
    "verify": "trains the first steps of a run again, and says whether they are the same to the bit",
    "hardware": "measures the devices or the memory of this machine",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Name the commands, or the version; gives the exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in typed:
        print(f"lit_dl {__version__}")
        return 0
    if unknown := [word for word in typed if word not in ("--help", "-h")]:
        command = f"{unknown[0]} " if unknown[0] in COMMANDS else "train "
        rest = " ".join(unknown[1:] if unknown[0] in COMMANDS else unknown)
        say_error(f"{' '.join(unknown)}: a command is typed with a dot: python -m lit_dl.{command}{rest}".rstrip())
        return 2
    print(f"lit_dl {__version__}: see how neural networks train\n")
    for name, what in COMMANDS.items():
        print(f"  python -m lit_dl.{name:<10}{what}")
    print("\nEach has --help. To begin: python -m lit_dl.train data=digits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
