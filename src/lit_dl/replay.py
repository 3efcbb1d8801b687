"""Repeat the step at which a run diverged: ``python -m lit_dl.replay RUN_FOLDER``.

The network is rebuilt from the run folder's config, and the step from its ``crash.pt``: the same parameters, batch and
random numbers. A table shows each layer, and marks where the first value arises that is not finite.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lit_dl import records
from lit_dl.console import relative, say, say_error
from lit_dl.errors import CommandError
from lit_dl.shell import any_text_printable

if TYPE_CHECKING:
    from lit_dl.crashes.crash import Crash
    from lit_dl.crashes.replay import Replay


@any_text_printable()
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives the exit code: 0, 1 if data cannot be read, 2 if there is no step to repeat."""
    parser = argparse.ArgumentParser(prog="python -m lit_dl.replay", description="Repeat the step that diverged.")
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--trust", action="store_true", help="build whatever classes the folder names")
    args = parser.parse_args(arguments)
    try:
        replay(args.folder, args.trust)
    except (CommandError, ValueError) as error:
        say_error(str(error))
        return 2
    except OSError as error:
        say_error(str(error))
        return 1
    return 0


def replay(folder: Path, trust: bool = False) -> None:
    """Repeat the step that a run folder keeps, and say what was seen.

    Raises:
        CommandError: if the run's config cannot be built here.
        ValueError: if it is no run folder, has no crash.pt or a damaged one, or one of another network, or names what
            is not known and not trusted.
        OSError: if data is missing that the config needs.
    """
    from lit_dl.run.again import rebuilt_task, recorded_config

    cfg = recorded_config(folder, trust)
    if not (folder / records.CRASH_FILE).is_file():
        raise ValueError(_why_there_is_none(folder))
    from lit_dl.crashes.crash import read_crash
    from lit_dl.crashes.replay import replay as repeat
    from lit_dl.lightning_seams import be_quiet

    be_quiet()
    crash = read_crash(folder)
    task = rebuilt_task(cfg, folder)
    tell(folder, crash, repeat(task, task.network, crash))


def tell(folder: Path, crash: "Crash", found: "Replay") -> None:
    """Say what was repeated, whether it is the same, and layer by layer what was seen."""
    from lit_dl.crashes import words

    kept = "from before it" if crash.state == "before" else f"from after it, when {crash.state_step:,} steps were made"
    say(f"step         {crash.step:,}, epoch {crash.epoch + 1}, batch {found.made.batch_idx + 1}; parameters {kept}")
    say(f"kept in      {relative(folder / records.CRASH_FILE)}")
    say(f"batch        {words.of_batch(found.made)}")
    say(f"losses       {words.last_losses(crash)}")
    say(f"repeated     loss {float(found.sight.loss):.8g}, {words.how_alike(crash, found)}")
    say("")
    say(words.table_of(found.sight), wraps=True)
    say("")
    before = (words.wrong_in_batch(found.made), words.wrong_parameters(found.wrong_parameters, crash))
    for line in (*before, words.where_it_arose(found.sight), words.what_reaches_the_loss(found.sight)):
        if line is not None:
            say(line)


def _why_there_is_none(folder: Path) -> str:
    """That a run has nothing to repeat, and why."""
    none = f"{folder} has no {records.CRASH_FILE}"
    try:
        status = records.read_run(folder).status
    except (OSError, ValueError):
        return f"{none}: no step of this run was found to diverge"
    if status == "diverged":
        return f"{none}: this run diverged, but its step was not kept; older versions of lit_dl kept none"
    return f"{none}: this run did not diverge, so there is no step to repeat"


if __name__ == "__main__":
    sys.exit(main())
