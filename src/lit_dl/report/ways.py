"""The ways of several points on one surface, where a report has such runs."""

from pathlib import Path

from matplotlib.figure import Figure

from lit_dl import records
from lit_dl.report.settings import Comparison, label_of
from lit_dl.way_figures import way_figure, write_race
from lit_dl.ways import Way, read_way

MOST = 10  # ways in a picture, best first; as many colours can be told apart


def ways_of(comparison: Comparison) -> dict[str, dict[str, Way]]:
    """By surface, then by name: of each setting that of its first job that has one, best first."""
    found: dict[str, dict[str, Way]] = {}
    for setting in comparison.settings:
        ways = [way for job in setting.jobs if (way := read_way(job.course.way)) is not None]
        for way in ways[:1]:
            of_surface = found.setdefault(way.surface, {})
            if len(of_surface) < MOST:
                of_surface[label_of(setting.values)] = way
    return found


def way_figures(comparison: Comparison) -> dict[str, Figure]:
    """All ways on a surface in one picture, by the chart's title."""
    found = ways_of(comparison)
    return {f"Paths{_of(surface, found)}": way_figure(ways) for surface, ways in found.items()}


def write_ways(comparison: Comparison, folder: Path) -> list[Path]:
    """Write ``paths.png`` and, where runs were asked for moving pictures, ``race.gif``; what was written.

    Raises:
        OSError: if a file cannot be written.
    """
    found = ways_of(comparison)
    moves = any(job.settings.get("animate") is True for job in comparison.jobs)
    written = []
    for surface, ways in found.items():
        name = _of(surface, found).replace(" on ", "_")
        written.append(folder / f"paths{name}.png")
        with records.replacing(written[-1]) as part:
            way_figure(ways).savefig(part, format="png")
        if moves:
            written.append(folder / f"race{name}.gif")
            write_race(ways, written[-1])
    return written


def _of(surface: str, found: dict[str, dict[str, Way]]) -> str:
    """What tells pictures apart where there are several."""
    return f" on {surface}" if len(found) > 1 else ""
