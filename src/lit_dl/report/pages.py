"""The files of a report: every job as CSV, the tables as Markdown, and all with charts as one page of HTML."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from lit_dl import records
from lit_dl.report.charts import charts
from lit_dl.report.escapes import as_item, in_csv, in_html, in_markdown
from lit_dl.report.settings import Comparison, command_of, rows_of
from lit_dl.report.words import text_of

CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 2rem auto; max-width: 1180px;
  padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p.sub { color: #666; margin: .2rem 0 1rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th { text-align: left; font-weight: 600; color: #666; border-bottom: 1px solid #ccc; }
th, td { padding: .3rem .9rem .3rem 0; vertical-align: top; white-space: nowrap; }
td.words { white-space: normal; min-width: 9rem; overflow-wrap: anywhere; } tr + tr td { border-top: 1px solid #eee; }
tr.best td { font-weight: 600; } tr.bad td { color: #c62828; }
pre { background: #f5f5f5; padding: .7rem 1rem; overflow-x: auto; border-radius: 6px; }
svg { max-width: 100%; height: auto; } details { margin-top: 2rem; } summary { cursor: pointer; font-weight: 600; }
"""


POLICY = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
  img-src data:">"""  # nothing in the page runs or loads, whatever slips into it


def write_pages(comparison: Comparison, folder: Path) -> None:
    """Write ``report.csv``, ``report.md`` and ``report.html`` into ``folder``, each atomically.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head, rows = job_rows(comparison)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([map(in_csv, row) for row in (head, *rows)])
    records.write_text(folder / "report.csv", buffer.getvalue())
    title = title_of(folder.absolute())
    records.write_text(folder / "report.md", as_markdown(comparison, title))
    records.write_text(folder / "report.html", as_html(comparison, title))


def title_of(folder: Path) -> str:
    """The experiment and when it was, for the folder of a sweep; else the folder's name."""
    return f"{folder.parents[1].name} {folder.name}" if folder.parent.name == "multirun" else folder.name


def job_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of jobs, in their order: all that varied, and all metrics."""
    accuracy = f"seconds_to_{comparison.accuracy:g}"
    metrics = sorted(comparison.metrics)
    head = ["job", *comparison.factors, "status", *metrics, "epochs", "steps", "seconds", accuracy, "diagnosis"]
    rows = []
    for number, job in enumerate(comparison.jobs):
        record = job.record
        kinds = [] if record is None else [finding.kind for finding in record.diagnosis]
        effort = ["", "", ""] if record is None else [str(record.epochs), str(record.steps), f"{record.seconds:.3f}"]
        rows.append(
            [
                job.name,
                *(text_of(values[number]) for values in comparison.factors.values()),
                job.status,
                *(_exact(job.metric(metric)) for metric in metrics),
                *effort,
                _exact(job.seconds_to(comparison.accuracy)),
                " ".join(kinds),
                "" if record is None else record.stop_reason,
            ]
        )
    return [*head, "stop_reason"], rows


def as_markdown(comparison: Comparison, title: str) -> str:
    """The settings best first, the command of the best job, and what went wrong."""
    head, rows = rows_of(comparison)
    lines = [f"# {in_markdown(title)}", "", in_markdown(subtitle(comparison)), "", *_markdown_table(head, rows), ""]
    if comparison.best is not None:
        lines += ["The best job again:", "", "```sh", records.visible(command_of(comparison.best)), "```", ""]
    for name, items in troubles(comparison).items():
        lines += [f"## {name}", "", *map(as_item, items), ""]
    return "\n".join(lines)


def as_html(comparison: Comparison, title: str) -> str:
    """One page that needs no other file."""
    head, rows = rows_of(comparison)
    marks = [
        "" if setting.good and len(setting.good) == len(setting.jobs) else "bad" for setting in comparison.settings
    ]
    if marks and not marks[0]:
        marks[0] = "best"
    parts = [f"<h1>{in_html(title)}</h1>", f'<p class="sub">{in_html(subtitle(comparison))}</p>']
    parts.append(_html_table(head, rows, marks))
    if comparison.best is not None:
        parts.append(f"<h2>The best job again</h2><pre>{in_html(command_of(comparison.best))}</pre>")
    for name, svg in charts(comparison).items():
        parts.append(f"<h2>{in_html(name)}</h2>{svg}")
    for name, items in troubles(comparison).items():
        listed = "".join(f"<li>{in_html(item)}</li>" for item in items)
        parts.append(f"<h2>{name}</h2><ul>{listed}</ul>")
    head, rows = job_rows(comparison)
    table = _html_table(head, rows, ["" if job.is_good else "bad" for job in comparison.jobs])
    parts.append(f"<details><summary>All {len(rows)} jobs</summary>{table}</details>")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{POLICY}<title>{in_html(title)}</title>'
        f"<style>{CSS}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def subtitle(comparison: Comparison) -> str:
    """What is compared, in a line."""
    over = f"; mean ± standard deviation over {' and '.join(comparison.repeated)}" if comparison.repeated else ""
    varied = f"; what varied: {', '.join(comparison.compared)}" if comparison.compared else ""
    return f"{len(comparison.jobs)} jobs, best first by {comparison.metric}{over}{varied}"


def troubles(comparison: Comparison) -> dict[str, list[str]]:
    """What did not end well, and what was skipped, by headline."""
    reasons = [
        f"{job.name}: {job.status}" + (f", {job.record.stop_reason}" if job.record is not None else "")
        for job in comparison.jobs
        if not job.is_good
    ]
    return {name: items for name, items in (("Failed or diverged", reasons), ("Skipped", comparison.skipped)) if items}


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [map(in_markdown, head), ["---"] * len(head), *(map(in_markdown, row) for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]], marks: Sequence[str]) -> str:
    names = "".join(f"<th>{in_html(name)}</th>" for name in head)
    lines = (
        f'<tr class="{mark}">' + "".join(map(_cell, head, row)) + "</tr>" for mark, row in zip(marks, rows, strict=True)
    )
    return f'<div class="wide"><table><tr>{names}</tr>{"".join(lines)}</table></div>'


def _cell(name: str, text: str) -> str:
    wraps = name in ("diagnosis", "status", "stop_reason") or len(text) > 40
    kind = ' class="words"' if wraps else ""
    return f"<td{kind}>{in_html(text)}</td>"
