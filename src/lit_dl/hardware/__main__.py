"""Measure this machine: ``python -m lit_dl.hardware devices|memory [group=choice] [key=value] ...``."""

import sys
from collections.abc import Sequence

from lit_dl.cli.main import run_command
from lit_dl.cli.values import check_values
from lit_dl.console import say_error
from lit_dl.errors import CommandError
from lit_dl.run.measure import measure_hardware
from lit_dl.run.request import RunRequest
from lit_dl.shell import any_text_printable

EXPERIMENTS = {
    "devices": "the same training steps and matrix products on each device",
    "memory": "training against prediction",
}


@any_text_printable()
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives the exit code, as ``python -m lit_dl.train`` does."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if not typed or typed[0] not in EXPERIMENTS:
        usage = "\n".join(f"  python -m lit_dl.hardware {name}   {what}" for name, what in EXPERIMENTS.items())
        if typed[:1] in (["-h"], ["--help"]):
            print(f"Measure this machine instead of training:\n{usage}\nOverrides follow, as in lit_dl.train.")
            return 0
        say_error(f"name what is to be measured\n{usage}")
        return 2
    return run_command(measure, [f"experiment={typed[0]}", *typed[1:]])


def measure(request: RunRequest) -> None:
    """One measurement: from what was asked for to its run folder.

    Raises:
        CommandError: if the config asks for what cannot be had.
    """
    try:
        check_values(request.cfg)
    except ValueError as error:
        raise CommandError(str(error)) from error
    measure_hardware(request)


if __name__ == "__main__":
    from lit_dl.hardware import __main__ as command  # by its own name, under which launchers find its function

    sys.exit(command.main())
