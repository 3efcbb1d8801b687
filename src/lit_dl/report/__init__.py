"""One report over many runs: ``python -m lit_dl.report FOLDER...``, and at the end of each sweep.

Everything is read from run folders, without torch or Lightning, so that it answers in seconds and anywhere.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lit_dl.console import STATUS_COLOURS, console, relative
from lit_dl.records import shortened, visible
from lit_dl.report.runs import find
from lit_dl.report.settings import Comparison, command_of, compare, rows_of

SHOWN = 30  # settings on the console, best first; the files have all
FILES = ("report.html", "report.md", "report.csv")


def report(folders: Sequence[Path], metric: str, accuracy: float, to: Path | None) -> Comparison:
    """Compare the runs in some folders: print the table, and write ``report.csv``, ``.md`` and ``.html``.

    Args:
        folders: run folders, sweep folders, or folders above them.
        metric: by which the settings are ranked.
        accuracy: validation accuracy whose time is told.
        to: the folder for the files; None writes none.

    Raises:
        ValueError: if there are no runs in the folders.
        OSError: if the files cannot be written.
    """
    comparison = compare(find(folders), metric, accuracy)
    for line in comparison.skipped:
        console.print(Text(visible(f"skipped: {line}"), style="yellow"), soft_wrap=True)
    if not comparison.jobs:
        raise ValueError(visible(f"no runs in {', '.join(map(str, folders))}"))
    pictures: list[Path] = []
    if to is not None:
        from lit_dl.report.pages import write_pages
        from lit_dl.report.trajectories import write_trajectories

        write_pages(comparison, to)
        pictures = write_trajectories(comparison, to)
    _print(comparison, to, pictures)
    return comparison


def _print(comparison: Comparison, to: Path | None, pictures: Sequence[Path]) -> None:
    head, rows = rows_of(comparison)
    for table in _tables(comparison, list(head), rows):
        terminal = console if console.is_terminal else Console(width=_width(table), highlight=False)  # or a file
        terminal.print("", table, sep="\n")
    console.print("" if len(rows) <= SHOWN else f"and {len(rows) - SHOWN} more in the report\n")
    if comparison.repeated and any(len(setting.good) > 1 for setting in comparison.settings):
        over = visible(" and ".join(comparison.repeated))
        ranked = f"; best by {visible(comparison.metric)}" if comparison.metric in comparison.metrics else ""
        console.print(Text(f"mean ± standard deviation over {over}{ranked}", style="dim"))
    if (best := comparison.best) is not None:
        console.print(Text(f"repeat the best   {visible(command_of(best))}"), soft_wrap=True)
    if to is not None:
        page = relative((to / FILES[0]).absolute())
        console.print(Text(f"report            {visible(page)} (also .md and .csv)"), soft_wrap=True)
    for picture in pictures:
        console.print(Text(f"picture           {visible(relative(picture.absolute()))}"), soft_wrap=True)


def _tables(comparison: Comparison, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Table]:
    """One table or, where that is wider than the terminal, several below each other, with what varied in each.

    Where that alone fills half the terminal, places stand for it in all tables but the first.
    """
    names = list(range(len(comparison.compared) or 1))
    whole = _table(comparison, head, rows, range(len(head)))
    if not console.is_terminal or _width(whole) <= console.width:
        return [whole]
    if _width(_table(comparison, head, rows, names)) > console.width // 2:
        head = ["place", *head]
        rows = [[str(place), *row] for place, row in enumerate(rows, 1)]
        names = [0]
    blocks = [list(names)]
    for column in range(len(names), len(head)):
        if (
            len(blocks[-1]) > len(names)
            and _width(_table(comparison, head, rows, [*blocks[-1], column])) > console.width
        ):
            blocks.append(list(names))
        blocks[-1].append(column)
    return [_table(comparison, head, rows, columns) for columns in blocks]


def _width(table: Table) -> int:
    return console.measure(table, options=console.options.update(max_width=10_000)).maximum


def _table(comparison: Comparison, head: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number in columns:
        table.add_column(Text(shortened(visible(head[number]))), no_wrap=True)
    for setting, row in list(zip(comparison.settings, rows, strict=True))[:SHOWN]:
        worst = next((job.status for job in setting.jobs if not job.is_good), setting.jobs[0].status)
        colours = {len(head) - 1: STATUS_COLOURS.get(worst, "yellow")}
        table.add_row(*(Text(_cell(head[number], row[number]), style=colours.get(number, "")) for number in columns))
    return table


def _cell(name: str, text: str) -> str:
    """A line for each finding and status; other values in no more than a part of a line."""
    text = visible(text)
    return text.replace("), ", ")\n").replace(", ", "\n") if name in ("diagnosis", "status") else shortened(text)
