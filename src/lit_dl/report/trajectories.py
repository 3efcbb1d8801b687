"""The trajectories of several points on one surface, where a report has such runs."""

from pathlib import Path

from matplotlib.figure import Figure

from lit_dl import records
from lit_dl.descent.figures import trajectory_figure, write_race
from lit_dl.descent.trajectories import Trajectory, read_trajectory
from lit_dl.report.settings import Comparison
from lit_dl.report.words import label_of

MOST_PATHS = 10  # trajectories in a picture, best first; as many colours can be told apart


def trajectories_of(comparison: Comparison) -> dict[str, dict[str, Trajectory]]:
    """By surface, then by name: of each setting that of its first job that has one, best first."""
    found: dict[str, dict[str, Trajectory]] = {}
    for setting in comparison.settings:
        trajectories = [
            trajectory for job in setting.jobs if (trajectory := read_trajectory(job.curves.trajectory)) is not None
        ]
        for trajectory in trajectories[:1]:
            of_surface = found.setdefault(trajectory.surface, {})
            label = label_of(setting.values)
            of_surface[f"{len(of_surface) + 1}. {label}" if label in of_surface else label] = trajectory
    return found


def trajectory_figures(comparison: Comparison) -> dict[str, Figure]:
    """All trajectories on a surface in one picture, by the chart's title."""
    found = trajectories_of(comparison)
    return {f"Paths{_of(surface, found)}": _figure(trajectories) for surface, trajectories in found.items()}


def write_trajectories(comparison: Comparison, folder: Path) -> list[Path]:
    """Write ``paths.png`` and, where runs were asked for moving pictures, ``race.gif``; what was written.

    Raises:
        OSError: if a file cannot be written.
    """
    found = trajectories_of(comparison)
    moves = any(job.settings.get("animate") is True for job in comparison.jobs)
    written = []
    for surface, trajectories in found.items():
        name = _of(surface, found).replace(" on ", "_")
        written.append(folder / f"paths{name}.png")
        with records.replacing(written[-1]) as part:
            _figure(trajectories).savefig(part, format="png")
        if moves:
            written.append(folder / f"race{name}.gif")
            write_race(_best(trajectories), written[-1])
    return written


def _best(trajectories: dict[str, Trajectory]) -> dict[str, Trajectory]:
    return dict(list(trajectories.items())[:MOST_PATHS])


def _figure(trajectories: dict[str, Trajectory]) -> Figure:
    """Of all of them, or of the best, which the title then says."""
    title = f"The best {MOST_PATHS} of {len(trajectories)} paths" if len(trajectories) > MOST_PATHS else None
    return trajectory_figure(_best(trajectories), title)


def _of(surface: str, found: dict[str, dict[str, Trajectory]]) -> str:
    """What tells pictures apart where there are several."""
    return f" on {surface}" if len(found) > 1 else ""
