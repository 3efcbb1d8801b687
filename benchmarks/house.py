"""The house drawn from its imports: rooms, floors and arrows, counted and as a picture.

    python benchmarks/house.py [--source src/lit_dl] [--draw house.png]

A room is a folder of the package, or a module at its top; a folder's ``__main__`` is a command and a room of its own.
An arrow is an import, also one inside a function. A room's floor is one above the highest that it imports from.
"""

import argparse
import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from matplotlib.figure import Figure

Arrows = Mapping[str, set[str]]
"""By room or module, what it imports from."""


def modules_of(source: Path) -> dict[str, Path]:
    """The files of a package by dotted name; a folder's own is ``package.folder``."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: Mapping[str, Path]) -> set[str]:
    """All that a file imports, as dotted names; of the package the module, not what is taken from it.

    Raises:
        ValueError: for a relative import.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path} has a relative import")
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (submodules & set(known)) or {str(node.module)}
    return found


def module_arrows(source: Path) -> dict[str, set[str]]:
    """The package's modules, and which of each other they import."""
    known = modules_of(source)
    return {name: (imports_of(path, known) & set(known)) - {name} for name, path in known.items()}


def room_of(module: str) -> str:
    """The room that a module is in: ``cli`` of lit_dl.cli.main; a command by its whole name."""
    parts = module.split(".")[1:]
    return ".".join(parts) if parts[-1:] == ["__main__"] else "".join(parts[:1])


def room_arrows(source: Path) -> dict[str, set[str]]:
    """The rooms, and which others each takes something from; without the package's own ``__init__``."""
    arrows: dict[str, set[str]] = {}
    for module, imported in module_arrows(source).items():
        own = arrows.setdefault(room_of(module), set())
        own |= {room_of(each) for each in imported if "." in each} - {room_of(module)}
    arrows.pop("", None)
    return arrows


def floors_of(arrows: Arrows) -> dict[str, int]:
    """The floor of each room, the ground floor being 1.

    Raises:
        ValueError: if rooms import from each other in a circle.
    """
    floors: dict[str, int] = {}

    def floor(room: str, above: tuple[str, ...] = ()) -> int:
        if room in above:
            raise ValueError(f"a circle: {' -> '.join((*above[above.index(room) :], room))}")
        if room not in floors:
            floors[room] = 1 + max((floor(below, (*above, room)) for below in arrows[room]), default=0)
        return floors[room]

    for room in arrows:
        floor(room)
    return floors


def counted(source: Path) -> Iterator[str]:
    """The counts, then the rooms from the top floor down."""
    arrows = room_arrows(source)
    floors = floors_of(arrows)
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in modules_of(source).values()]
    drawn = sum(map(len, arrows.values()))
    yield f"{len(arrows)} rooms on {max(floors.values())} floors, {drawn} arrows, no circle"
    yield f"{len(lines)} files, the longest of {max(lines)} lines"
    for number in range(max(floors.values()), 0, -1):
        yield f"floor {number}   {', '.join(room for room in sorted(floors) if floors[room] == number)}"


def draw(source: Path, file: Path) -> None:
    """Draw the rooms by floor, and the arrows that go down; one that also goes by way of other rooms is left out."""
    arrows = room_arrows(source)
    floors = floors_of(arrows)
    top = max(floors.values())
    figure = Figure(figsize=(12.5, 0.85 * top), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 1)
    axes.set_ylim(0.4, top + 0.6)
    axes.set_axis_off()
    places: dict[str, tuple[float, float]] = {}
    for number in range(1, top + 1):
        rooms = sorted(room for room in floors if floors[room] == number)
        places |= {room: ((place + 0.5) / len(rooms), number) for place, room in enumerate(rooms)}
    for room, (x, y) in places.items():
        for below in direct(arrows, room):
            axes.annotate("", places[below], (x, y), arrowprops={"arrowstyle": "->", "color": "0.7", "shrinkB": 12})
        box = {"boxstyle": "round,pad=0.45", "facecolor": "#e8eef7", "edgecolor": "#4a6fa5"}
        axes.text(x, y, room, ha="center", va="center", fontsize=10, bbox=box)
    figure.savefig(file)


def direct(arrows: Arrows, room: str) -> set[str]:
    """The rooms that a room takes something from by no other way than straight."""

    def reached(start: str) -> set[str]:
        return set().union(*({below} | reached(below) for below in arrows[start]))

    return {below for below in arrows[room] if not any(below in reached(other) for other in arrows[room] - {below})}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1] / "src" / "lit_dl")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="also draw it, as PNG or SVG")
    options = parser.parse_args()
    print("\n".join(counted(options.source.resolve())))
    if options.draw is not None:
        draw(options.source.resolve(), options.draw)


if __name__ == "__main__":
    main()
