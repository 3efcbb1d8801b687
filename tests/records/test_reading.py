"""A damaged file of a run folder is one line that names it; what can be read has the types of its record."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.folders import make_run
from tests.records.test_records import OLD_CURVES, OLD_RUN, OLD_SWEEP
from tests.strange import CONTENTS, REPLACEMENTS, YAML_CONTENTS, partly_replaced

from lit_dl import records

TRAJECTORY = {"surface": "valley", "step": [0, 1, 5], "x": [1.0, 0.5, None], "y": [1.0, 0.5, 0.1], "f": [3.0, 1.0, 0.0]}
RECORDS = {
    "metrics.json": (OLD_RUN, records.read_run, records.write_run),
    "curves.json": ({**OLD_CURVES, "trajectory": TRAJECTORY}, records.read_curves, records.write_curves),
    "sweep.json": (OLD_SWEEP, records.read_sweep, records.write_sweep),
}
YAML_FILES = {
    ".hydra/config.yaml": records.read_config,
    ".hydra/overrides.yaml": records.read_overrides,
    ".hydra/hydra.yaml": records.read_choices,
}
FILES = {**{name: read for name, (_, read, _) in RECORDS.items()}, **YAML_FILES}
EXAMPLES = pytest.mark.parametrize("examples", [12, pytest.param(300, marks=pytest.mark.slow)])


def tried(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, database=None, derandomize=True)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with each file, all of them whole."""
    run = make_run(tmp_path / "run", "seed=1")
    for name, (content, _, _) in RECORDS.items():
        (run / name).write_text(json.dumps(content))
    (run / ".hydra/hydra.yaml").write_text("hydra: {runtime: {choices: {data: digits, hydra/output: default}}}")
    for read in FILES.values():
        read(run)
    assert records.read_choices(run) == {"data": "digits"}
    return run


def refusal(name: str, folder: Path) -> str:
    """The message with which a damaged file is refused, of one line that names it."""
    with pytest.raises(ValueError, match=name.rpartition("/")[2]) as caught:
        FILES[name](folder)
    message = str(caught.value)
    assert str(folder / name) in message
    assert len(message.splitlines()) == 1
    assert len(message) < len(str(folder / name)) + 400
    return message


@pytest.mark.parametrize("name", FILES)
def test_whatever_else_stands_in_a_file_is_refused_in_one_line_that_names_it(folder, name):
    path = folder / name
    for content in (CONTENTS | (YAML_CONTENTS if name in YAML_FILES else {})).values():
        path.write_bytes(content)
        refusal(name, folder)
    for replace in REPLACEMENTS:
        replace(path)
        refusal(name, folder)
        path.rmdir() if path.is_dir() else path.unlink()
        path.touch()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "it is no file" in refusal(name, folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_not_be_read_is_said(folder, name, monkeypatch):
    def refuse(path):
        assert stat.S_ISREG(path.stat().st_mode)
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything, so no mode would keep it out
    assert "Permission denied" in refusal(name, folder)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_is_cut_anywhere_is_refused(folder, name):
    whole = (folder / name).read_bytes()
    for length in (*range(0, len(whole), 40), len(whole) - 2):
        (folder / name).write_bytes(whole[:length])
        refusal(name, folder)


@EXAMPLES
@pytest.mark.parametrize("name", FILES)
def test_flipped_bytes_are_refused_or_give_a_record(folder, name, examples):
    whole = (folder / name).read_bytes()

    @tried(examples)
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)), min_size=1, max_size=3))
    def check(flips):
        content = bytearray(whole)
        for place, mask in flips:
            content[place] ^= mask
        (folder / name).write_bytes(content)
        try:
            FILES[name](folder)
        except ValueError:
            refusal(name, folder)

    check()


@EXAMPLES
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_with_anything_in_any_place_is_refused_or_can_be_written_and_read_again(folder, name, examples):
    content, read, write = RECORDS[name]

    @tried(examples)
    @given(partly_replaced(content))
    def check(strange):
        (folder / name).write_text(json.dumps(strange))
        try:
            record = read(folder)
        except ValueError:
            refusal(name, folder)
            return
        write(record, folder)
        assert read(folder) == record

    check()


@pytest.mark.parametrize(
    ("name", "part", "words"),
    [
        ("metrics.json", {"metrics": {"val/acc": "0.9"}}, r"metrics\['val/acc'\] is '0\.9'; it must be a number"),
        ("metrics.json", {"metrics": {"val/acc": True}}, "is True; it must be a number"),
        ("metrics.json", {"metrics": {"val/acc": 10**400}}, "a number of 1329 bits"),
        ("metrics.json", {"metrics": {"val/acc": float("nan")}}, "NaN is no number"),
        ("metrics.json", {"epochs": 1.5}, r"epochs is 1\.5; it must be a whole number"),
        ("metrics.json", {"overrides": "seed=1"}, "overrides is 'seed=1'; it must be a list"),
        ("metrics.json", {"choices": {"data": None}}, r"choices\['data'\] is None; it must be text"),
        ("metrics.json", {"diagnosis": [OLD_RUN["diagnosis"][0] | {"since_step": "1"}]}, r"diagnosis\[0\]\.since_step"),
        ("metrics.json", {"diagnosis": [{"kind": "healthy"}]}, r"diagnosis\[0\]\.since_step is missing"),
        ("curves.json", {"points": {"step": [1, 2], "epoch": [1.0]}}, r"points have the lengths \[1, 2\]"),
        ("curves.json", {"points": {"step": [1, "2"]}}, r"points\['step'\]\[1\] is '2'"),
        ("curves.json", {"log10_rms": [[-2.0], [-1.0]]}, "2 rows for 1 layers"),
        ("curves.json", {"log10_rms": [[]]}, r"log10_rms have the lengths \[0\]"),
        ("curves.json", {"trajectory": TRAJECTORY | {"x": [1.0]}}, r"trajectory have the lengths \[1, 3\]"),
        ("curves.json", {"trajectory": TRAJECTORY | {"step": [0, 1, 1]}}, "do not rise"),
        ("curves.json", {"trajectory": TRAJECTORY | {"x": [None, 1.0, 1.0]}}, "no start"),
        ("curves.json", {"trajectory": TRAJECTORY | {"surface": []}}, r"surface is a list; it must be text"),
        ("sweep.json", {"jobs": {"../../secret": []}}, "'../../secret' has no folder name"),
        ("sweep.json", {"jobs": {"/etc": []}}, "'/etc' has no folder name"),
        ("sweep.json", {"accuracy": "high"}, "accuracy is 'high'; it must be a number"),
    ],
)  # fmt: skip
def test_the_message_says_where_and_what_is_wrong(folder, name, part, words):
    (folder / name).write_text(json.dumps(RECORDS[name][0] | part))
    with pytest.raises(ValueError, match=words):
        FILES[name](folder)


def test_dates_and_keys_of_a_config_are_read_as_omegaconf_reads_them(folder):
    (folder / ".hydra/config.yaml").write_text("day: 2026-01-01\nweights: {0: 1.5, true: .inf}\n")
    assert records.read_config(folder) == {"day": "2026-01-01", "weights": {0: 1.5, True: float("inf")}}


def test_a_text_is_shown_without_what_a_terminal_or_a_reader_would_obey():
    assert records.visible("a\x1b[31m\r\n\x00\ud800\u202e\u2028") == r"a\x1b[31m\r\n\x00\ud800\u202e\u2028"
    for kept in ("plain 0.5 ± 0.1", "é ü 漢字 🙂", "a\u00a0b", "🏳\u200d🌈"):
        assert records.visible(kept) == kept
