"""What the user sees: the block at the start, the progress, the result, and the one message when a run cannot be."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from lit_dl.metrics import TITLES
from lit_dl.records import Advice, Finding, RunRecord
from lit_dl.shell import quote

log = logging.getLogger("lit_dl")
log.addHandler(logging.NullHandler())  # until Hydra sets up train.log, a message is for the terminal alone

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}  # C0, DEL and C1


def without_controls(text: str) -> str:
    r"""A text less the characters that move a terminal's cursor, change its colours or its title.

    Names of files, classes and settings may come from strangers.

    Example:
        >>> without_controls("a\x1b[31mb\x9b2Jc\td")
        'a[31mb2Jc\td'
    """
    return text.translate(_CONTROLS)


class PlainConsole(Console):
    """A console on which a text is never an instruction: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does; what it adds itself, such as the movements of a progress bar, stays."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=without_controls(segment.text))


console = PlainConsole()
error_console = PlainConsole(stderr=True)

STATUS_COLOURS = {
    "completed": "green",
    "early_stopped": "green",
    "diverged": "red",
    "interrupted": "yellow",
    "failed": "red",
}

_only_logged = False  # in a job of a sweep


@contextmanager
def only_logged() -> Iterator[None]:
    """For a while, write what is said into train.log alone: a sweep has a line of its own for each job."""
    global _only_logged
    before, _only_logged = _only_logged, True
    try:
        yield
    finally:
        _only_logged = before


def say(content: RenderableType, style: str | None = None, wraps: bool = False) -> None:
    """Print on the terminal, and into train.log as plain text.

    Args:
        wraps: break lines at the width of the terminal, as a table of sentences needs it; otherwise the terminal breaks
            them, so that a path can be copied.
    """
    if not _only_logged:
        console.print(content, style=style, soft_wrap=not wraps)
    text = StringIO()
    # In a notebook rich would show it once more, instead of writing to the file.
    PlainConsole(file=text, width=120, color_system=None, force_jupyter=False, force_terminal=False).print(content)
    for line in text.getvalue().splitlines():
        log.info(line.rstrip())


def say_error(message: str) -> None:
    """Print a message of what went wrong on standard error, and into train.log."""
    first, _, rest = message.strip().partition("\n")
    if not _only_logged:
        error_console.print(Text.assemble(("error: ", "bold red"), first, f"\n{rest}" if rest else ""), soft_wrap=True)
    log.error(without_controls(message))


LayerRow = tuple[str, str, int | None, tuple[int, int] | None]


def start_block(heading: Mapping[str, str], layers: Sequence[LayerRow]) -> Group:
    """The heading of a run, then its layers with output shape, in a convolutional net receptive field, and parameters.

    Args:
        layers: of each its name, the shape of its output, its number of parameters, None where a row above has them,
            and the receptive field in pixels, None where there is none.
    """
    head = [Text.assemble((f"{name:<12}", "bold"), value) for name, value in heading.items()]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("layer")
    table.add_column("output", justify="right")
    if sees := any(field is not None for *_, field in layers):
        table.add_column("receptive field", justify="right")
    table.add_column("parameters", justify="right")
    for name, shape, count, field in layers:
        parameters = "shared" if count is None else f"{count:,}" if count else ""
        seen = [] if not sees else [f"{field[0]}x{field[1]}" if field is not None else ""]
        table.add_row(name, shape, *seen, parameters)
    return Group(*head, "", table, "")


def result_block(record: RunRecord, folder: Path, tested: str) -> Group:
    """The metrics of each part, the status with its reason, and where to look next.

    Args:
        tested: of which epoch the parameters are that gave the validation and test metrics.
    """
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    shown = {name: title for name, title in TITLES.items() if any(key.endswith(f"/{name}") for key in record.metrics)}
    for column in ("", *shown.values()):
        table.add_column(column, justify="right" if column else "left")
    labels = {
        "train": "at the end" if record.choices.get("data") == "none" else "train (mean over last epoch)",
        "train_eval": f"train ({tested})",
        "val": f"validation ({tested})",
        "test": f"test ({tested})",
    }
    for part, label in labels.items():
        if f"{part}/loss" in record.metrics:
            values = [_decimals(record.metrics, f"{part}/{name}") for name in shown]
            table.add_row(Text(label, style="bold"), *values)
    status = Text.assemble(
        (record.status.replace("_", " "), f"bold {STATUS_COLOURS[record.status]}"), f": {record.stop_reason}"
    )
    effort = f"{record.epochs} epochs, {record.steps:,} steps, {record.seconds:.1f} s"
    path = relative(folder)
    has_curves = any(folder.glob("events.out.tfevents.*"))  # not with logger=off, or one that is not TensorBoard's
    return Group(
        "",
        table,
        "",
        status,
        f"{effort} ({record.samples_per_second:,.0f} samples/s)" if record.samples_per_second else effort,
        Text(f"run folder   {path}"),  # as Text, or rich would take brackets in it for markup
        *([Text(f"see curves   {_tensorboard()} --logdir {quote(path)}")] if has_curves else []),
    )


def job_line(number: str, name: str, record: RunRecord, metric: str, seconds_left: float) -> None:
    """Print how a job of a sweep ended: its message at once if it failed, and what the whole will still take."""
    value = record.metrics.get(metric)
    kinds = ", ".join(finding.title for finding in record.diagnosis)
    style = STATUS_COLOURS[record.status]
    parts: list[str | tuple[str, str]] = [
        (f"{number:<14}", "dim"),
        f"{name}  ",
        (record.status.replace("_", " "), style),
    ]
    if record.status in ("completed", "early_stopped") and value is not None:
        parts.append(f"  {metric} {decimals(value)}")
    if record.status == "diverged":
        parts.append(f": {record.stop_reason.partition(';')[0]}")
    parts += [f"  {duration(record.seconds)}", f"  {kinds}" if kinds else ""]
    if seconds_left > 0:
        parts.append((f"  about {duration(seconds_left)} left", "dim"))
    console.print(Text.assemble(*parts), soft_wrap=True)
    if record.status == "failed":
        say_error(f"{name}: {record.stop_reason}")


def duration(seconds: float) -> str:
    """In the two largest units: 1.5 s, 14 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def diagnosis_block(
    findings: Sequence[Finding], share: float | None, wording: Callable[[Sequence[Advice]], str]
) -> Group:
    """What was found in a training, and what looking for it took.

    Args:
        findings: in the order in which they became certain.
        share: of the training time, that the diagnostics took.
        wording: puts advice into words.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("finding", no_wrap=True)
    table.add_column("since step", justify="right")
    table.add_column("evidence", min_width=30)
    table.add_column("try", overflow="fold")
    for finding in findings:
        advice = "\n".join(wording([each]) for each in finding.advice)
        style = "bold green" if finding.kind == "healthy" else "bold yellow"
        title = Text(finding.title, style=style)
        table.add_row(title, f"{finding.since_step:,}", Text(finding.message), Text(advice))
    nothing = Text("diagnosis: nothing found; too few logged steps, or too little learnt, to call it healthy")
    lines: list[RenderableType] = ["", table if findings else nothing]
    if share is not None:
        lines.append(Text(f"diagnostics: {share:.1%} of training time", style="dim"))
    return Group(*lines)


def _tensorboard() -> str:
    """The command as it works here: with its path where the environment is not active, as after ``make train``."""
    beside = shutil.which("tensorboard", path=str(Path(sys.executable).parent))  # on Windows it ends in .exe
    return "tensorboard" if shutil.which("tensorboard") or beside is None else quote(relative(Path(beside)))


def _decimals(metrics: Mapping[str, float | None], name: str) -> str:
    value = metrics.get(name)
    if value is None:
        return "not finite" if name in metrics else "-"
    return decimals(value)


def decimals(value: float) -> str:
    """Four decimals, or of a value below a thousandth three digits."""
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.3g}"


def relative(folder: Path) -> str:
    """As the user would type it."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
