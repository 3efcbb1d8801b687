"""Records are written whole or not at all, and read back as they were, also those of an older or a newer lit_dl."""

import json
import math
import os

import pytest

from lit_dl import records
from lit_dl.records.finding import as_overrides, as_torch, read_advice

FINDING = records.Finding(
    "dead_units", 20, ["01_relu"], "0.9 of the units are dead", {"dead": 0.9},
    (records.Advice("activation", "leaky_relu"), records.Advice("lr", "0.01")),
)  # fmt: skip
EACH = [  # a record of each kind, how it is written and read, and its file
    (
        records.RunRecord("completed", "done", {"val/acc": 0.5}, [FINDING], epochs=3, data={"name": "digits"}),
        records.write_run, records.read_run, "metrics.json",
    ),
    (
        records.CurvesRecord({"step": [1, 2], "val/acc": [0.5, None]}, ["01_linear"], [[-1.0, None]], 2),
        records.write_curves, records.read_curves, "curves.json",
    ),
    (
        records.SweepRecord(["-m", "seed=1,2"], "val/acc", 0.9, {"0_seed=1": ["seed=1"]}),
        records.write_sweep, records.read_sweep, "sweep.json",
    ),
]  # fmt: skip
KINDS = pytest.mark.parametrize(("record", "write", "read", "file"), EACH, ids=[file for *_, file in EACH])

# As lit_dl 0.1.0 wrote them: no schema, and advice as it is typed.
OLD_RUN = {
    "status": "completed", "stop_reason": "trainer.max_epochs=2 reached", "metrics": {"val/acc": 0.9, "val/loss": None},
    "diagnosis": [
        {"kind": "vanishing_gradients", "since_step": 60, "layers": ["01_linear"], "message": "too small",
         "evidence": {"ratio": 1e-5}, "advice": "activation=relu init=he"},
        {"kind": "exploding_gradients", "since_step": 1, "layers": [], "message": "too large", "evidence": {},
         "advice": "trainer.gradient_clip_val=1.0"},
        {"kind": "healthy", "since_step": 1, "layers": [], "message": "all well", "evidence": {}, "advice": ""},
    ],
    "epochs": 2, "steps": 44, "seconds": 0.8, "diagnostics_seconds": 0.1, "samples_per_second": 3375.0,
    "best_checkpoint": "checkpoints/best.ckpt", "data": {"name": "digits", "train": 1350}, "environment": {"cpus": 2},
    "overrides": ["data=digits"], "choices": {"data": "digits"},
}  # fmt: skip
OLD_CURVES = {"points": {"step": [22], "epoch": [1.0]}, "layers": ["01_linear"], "log10_rms": [[-2.0]], "steps": 22,
              "trajectory": {}}  # fmt: skip
OLD_SWEEP = {"arguments": ["-m", "seed=1,2"], "metric": "val/acc", "accuracy": 0.9, "jobs": {"0_seed=1": ["seed=1"]}}


@KINDS
def test_a_record_is_read_back_as_it_was_written(tmp_path, record, write, read, file):
    write(record, tmp_path)
    assert read(tmp_path) == record
    assert json.loads((tmp_path / file).read_text())["schema"] == 1


@KINDS
def test_what_a_newer_lit_dl_wrote_is_kept(tmp_path, record, write, read, file):
    write(record, tmp_path)
    content = json.loads((tmp_path / file).read_text()) | {"energy": {"joules": 3}}
    (tmp_path / file).write_text(json.dumps(content))
    newer = read(tmp_path)
    assert newer.unknown == {"energy": {"joules": 3}}
    write(newer, tmp_path)
    assert json.loads((tmp_path / file).read_text()) == content


@pytest.mark.parametrize(
    ("content", "read", "file"),
    [
        (OLD_RUN, records.read_run, "metrics.json"),
        (OLD_CURVES, records.read_curves, "curves.json"),
        (OLD_SWEEP, records.read_sweep, "sweep.json"),
    ],
    ids=["metrics.json", "curves.json", "sweep.json"],
)
def test_what_0_1_0_wrote_is_read_as_it_is(tmp_path, content, read, file):
    (tmp_path / file).write_text(json.dumps(content))
    record = read(tmp_path)
    assert record.unknown == {}
    for name, value in content.items():
        if name != "diagnosis":
            assert getattr(record, name) == value


def test_the_advice_of_0_1_0_is_taken_apart_and_written_as_it_was(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(OLD_RUN))
    record = records.read_run(tmp_path)
    assert [finding.kind for finding in record.diagnosis] == ["vanishing_gradients", "exploding_gradients", "healthy"]
    assert [finding.advice for finding in record.diagnosis] == [
        (("activation", "relu"), ("init", "he")), (("gradient_clip", "1.0"),), ()
    ]  # fmt: skip
    records.write_run(record, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"schema": 1, **OLD_RUN}


def test_a_finding_of_a_newer_lit_dl_is_read_without_what_is_not_known(tmp_path):
    newer = {**OLD_RUN, "diagnosis": [{**OLD_RUN["diagnosis"][0], "certainty": 0.9}]}
    (tmp_path / "metrics.json").write_text(json.dumps(newer))
    assert records.read_run(tmp_path).diagnosis[0].evidence == {"ratio": 1e-5}


def test_advice_is_worded_for_the_command_and_for_a_project_of_ones_own():
    advice = (
        records.Advice("activation", "relu"), records.Advice("lr", "0.3"), records.Advice("gradient_clip", "1.0"),
        records.Advice("hidden", "[400,400]"),
    )  # fmt: skip
    overrides = "activation=relu optimizer.lr=0.3 trainer.gradient_clip_val=1.0 model.hidden=[400,400]"
    assert as_overrides(advice) == overrides
    assert read_advice(overrides) == advice
    assert as_torch(advice) == (
        "torch.nn.ReLU(), lr=0.3 for the optimizer, Trainer(gradient_clip_val=1.0), hidden layers of 400, 400 units"
    )
    assert as_overrides(()) == as_torch(()) == ""


def test_values_that_are_not_finite_become_null(tmp_path):
    records.write_run(records.RunRecord("diverged", "", {"train/loss": math.nan, "val/loss": math.inf}), tmp_path)
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["metrics"] == {"train/loss": None, "val/loss": None}


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    records.write_run(records.RunRecord("completed", "the old one"), tmp_path)

    def full(handle):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        records.write_run(records.RunRecord("failed", "the new one"), tmp_path)
    assert records.read_run(tmp_path).stop_reason == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", '{"status": "completed"}', '{"status": "odd", "stop_reason": ""}',
        '{"status": "completed", "stop_reason": "", "metrics": []}',
        '{"status": "completed", "stop_reason": "", "diagnosis": [3]}',
        '{"status": "completed", "stop_reason": "", "diagnosis": [{"kind": "healthy"}]}',
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_by_name(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json"):
        records.read_run(tmp_path)


def test_a_folder_without_a_record_is_told_apart(tmp_path):
    for read in (records.read_run, records.read_sweep):
        with pytest.raises(FileNotFoundError):
            read(tmp_path)
    assert records.read_curves(tmp_path) == records.CurvesRecord()  # it was not recorded


def test_the_environment_names_versions_and_device():
    environment = records.describe_environment("cpu")
    assert environment["packages"]["torch"].startswith("2.")
    assert environment["packages"]["lit_dl"] is not None
    assert environment["device"] == "cpu"


@pytest.mark.parametrize("name", ["metrics.json", ".metrics.json.{pid}.part"])
def test_a_file_is_written_in_place_of_a_link_and_not_through_it(tmp_path, name):
    folder, outside, name = tmp_path / "run", tmp_path / "thesis", name.format(pid=os.getpid())
    folder.mkdir()
    outside.write_text("a thesis")
    try:
        (folder / name).symlink_to(outside)
    except OSError:
        pytest.skip("this system makes no links")
    records.write_text(folder / "metrics.json", "{}")
    assert outside.read_text() == "a thesis"
    assert [path.name for path in folder.iterdir()] == ["metrics.json"]
    assert not (folder / "metrics.json").is_symlink()
