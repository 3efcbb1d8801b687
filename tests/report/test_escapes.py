"""What stands in a stranger's folder is text in every form of a report: nothing of it is obeyed, run or loaded."""

import csv
import os
import re
import shlex
import shutil
import subprocess
from contextlib import redirect_stdout
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from tests.folders import make_run, make_sweep
from tests.strange import TEXTS

from lit_dl import records
from lit_dl.report.__main__ import main
from lit_dl.report.escapes import NUMBER, in_csv
from lit_dl.report.runs import find
from lit_dl.report.settings import command_of

TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "tr", "th", "td", "details",
    "summary", "pre", "ul", "li", "svg", "metadata", "rdf:rdf", "cc:work", "dc:type", "dc:date", "dc:format",
    "dc:creator", "cc:agent", "dc:title", "defs", "g", "path", "use", "clippath", "rect", "image",
}  # fmt: skip
FORMULA = re.compile(r"\s*[=+\-@\t\r]")


class Page(HTMLParser):
    """The tags of a page, its attributes, and its text."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def strange(tmp_path_factory) -> Path:
    """Runs in which each strange text stands everywhere where a text can stand, and the report of them."""
    top = tmp_path_factory.mktemp("strange") / "runs"
    for number, text in enumerate(TEXTS):
        finding = records.Finding(text, 1, [text], text, {text: text}, (records.Advice(text, text),))
        points = {"step": [1], "epoch": [1.0], "train/loss": [1.0], text: [1.0]}
        make_run(
            top / f"{number}", f"model={text}", f"{text}=1", text, status="completed" if number % 2 else "diverged",
            metrics={"val/acc": number / 100, f"{text}/acc": 0.5, text: 0.5}, diagnosis=[finding],
            curves=records.CurvesRecord(points, [text, "02"], [[-1.0], [-2.0]], 1), choices={"optimizer": text},
            config={text: {text: number}}, best_checkpoint=text,
        )  # fmt: skip
        record = records.read_run(top / f"{number}")
        record.stop_reason = text
        records.write_run(record, top / f"{number}")
    for text in (b"=cmd()", b"a\x1b[31mb", b"x|y<b>`z`", b"\xff", "\u202egnp".encode(), b"[x](javascript:alert(1))"):
        try:
            make_run(top / os.fsdecode(text), "model=1", metrics={"val/acc": 0.5})
        except (OSError, ValueError):
            continue  # some systems have no folders of such a name
    return top


@pytest.fixture(scope="module")
def printed(strange) -> str:
    """What the command prints; its files are in the folder then, without the charts, which take most of the time."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        patch.setattr("lit_dl.report.pages.charts", lambda comparison: {"<b>": "<svg></svg>"})
        assert main([str(strange)]) == 0
    return out.getvalue()


def is_plain(text: str) -> bool:
    """Whether nothing in it is to be obeyed by a terminal or turns the order of reading round."""
    return all(char in "\n\u00a0\u200c\u200d" or char.isprintable() for char in text)


def test_the_terminal_gets_no_control_character(printed):
    assert is_plain(printed)
    assert r"\x1b[31mred" in printed
    assert r"\u202egnp.exe" in printed


def test_the_page_has_only_its_own_tags_and_loads_nothing(printed, strange):
    check_page((strange / "report.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_page_with_its_charts_has_only_its_own_tags_and_loads_nothing(strange, tmp_path):
    assert main([str(strange), "--to", str(tmp_path)]) == 0
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert content.count("<svg") == 3
    check_page(content)


def check_page(content: str) -> None:
    assert is_plain(content.replace("\r", ""))
    page = Page()
    page.feed(content)
    assert page.tags <= TAGS
    assert "<script>alert(1)</script>" in page.text
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "xlink:href", "src"):
            assert value.startswith(("#", "data:image/"))
    assert "default-src 'none'" in content


def test_the_markdown_has_no_html_no_link_and_cells_for_each_head(printed, strange):
    text = (strange / "report.md").read_text(encoding="utf-8")
    assert is_plain(text)
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text)
    kinds = [token.type for token in tokens for token in (token, *(token.children or ()))]
    assert not {"html_block", "html_inline", "link_open", "image", "em_open", "strong_open", "s_open"} & set(kinds)
    assert kinds.count("table_open") == 1
    assert kinds.count("fence") == 1
    assert {token.tag for token in tokens if token.type == "heading_open"} == {"h1", "h2"}
    rows, heads, cells = (kinds.count(kind) for kind in ("tr_open", "th_open", "td_open"))
    assert cells == (rows - 1) * heads
    said = "".join(child.content for token in tokens for child in token.children or () if child.type.startswith("text"))
    for words in ("<script>alert(1)</script>", "x|y`z`", "[x](javascript:alert(1))", "&#106;", "'\""):
        assert words in said


def test_no_cell_of_the_csv_is_computed_and_numbers_stay(printed, strange):
    with (strange / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert is_plain(cell)
        assert NUMBER.fullmatch(cell) or not FORMULA.match(cell)
    assert "'=cmd|' /C calc'!A0" in {cell for row in rows for cell in row}


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1+1", "'+1+1"), ("-1+1", "'-1+1"), ("@SUM(1)", "'@SUM(1)"), ("  =1", "'  =1"),
        ("\t=1", r"\t=1"), ("\r=1", r"\r=1"), ("\u00a0=1", "'\u00a0=1"), ("a;=1", "a;'=1"), ("\uff1d1", "'\uff1d1"),
        ("-0.5", "-0.5"), ("+3", "+3"), ("-1.5e-07", "-1.5e-07"), (".5", ".5"), ("-inf", "'-inf"), ("-", "'-"),
        ("plain", "plain"), ("", ""), ("[-3,-2]", "[-3,-2]"),
    ],
)  # fmt: skip
def test_a_formula_gets_an_apostrophe_and_a_number_does_not(text, cell):
    assert in_csv(text) == cell


ATTACKS = (
    "x=1; rm -rf *", "x=$(touch ran)", "x=`touch ran`", "x='; touch ran; '", 'x="; touch ran; "', "x=a\\'; touch ran",
    "x=1 | touch ran", "x=1 > ran", "x=a & touch ran", "x=*", "x=~", "x=!!", "x=$HOME", "x=1 # y",
)  # fmt: skip


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no POSIX shell")
def test_the_command_that_repeats_a_run_runs_nothing_but_itself(tmp_path):
    folder = make_run(tmp_path / "run", *ATTACKS, "--config-dir=/elsewhere", "-m", choices={"data": "digits"})
    (job,) = find([folder]).jobs
    job.record.environment["omp_num_threads"] = "4; touch ran;"
    command = command_of(job)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/kept").touch()
    shown = subprocess.run(
        ["sh", "-c", f"python() {{ printf '%s\\n' \"$@\"; }}; {command}"],
        cwd=tmp_path / "empty", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout.splitlines() == ["-m", "lit_dl.train", *ATTACKS]
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["kept"]
    assert shlex.split(command)[:3] == ["python", "-m", "lit_dl.train"]


def test_an_override_of_several_lines_does_not_leave_its_block_of_the_report(tmp_path, capsys):
    sweep = make_sweep(tmp_path / "sweep", {(0.1, 1): 0.5, (0.2, 1): 0.6})
    best = sweep / "1_lr=0.2_seed=1"
    record = records.read_run(best)
    record.overrides.append("note=a\n```\n<script>alert(1)</script>")
    records.write_run(record, best)
    assert main([str(sweep), "--to", str(tmp_path / "to")]) == 0
    lines = (tmp_path / "to/report.md").read_text().splitlines()
    assert lines.count("```") == 1
    assert r"'note=a\n```\n<script>alert(1)</script>'" in capsys.readouterr().out
