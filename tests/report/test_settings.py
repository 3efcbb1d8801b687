"""Grouping, means and ranks, against numbers worked out by hand."""

import pytest
from tests.folders import make_run, make_sweep

from lit_dl.report.runs import find
from lit_dl.report.settings import Mean, command_of, compare, mean_of, rows_of


def comparison_of(*folders, metric="val/acc", accuracy=0.5):
    return compare(find(folders), metric, accuracy)


def test_mean_and_standard_deviation_are_the_samples():
    # (2 + 4 + 9) / 3 = 5; squared distances 9 + 1 + 16 = 26, over n - 1 = 13
    assert mean_of([2.0, 4.0, 9.0]) == Mean(5.0, pytest.approx(13**0.5), 3)
    assert mean_of([2.0]) == Mean(2.0, None, 1)
    assert mean_of([None, float("nan"), float("inf")]) is None


def test_jobs_that_differ_in_seed_alone_make_one_setting_best_first(tmp_path):
    accuracies = {(0.1, 1): 0.6, (0.1, 2): 0.8, (0.5, 1): 0.9, (0.5, 2): 0.7, (0.5, 3): 0.95}
    comparison = comparison_of(make_sweep(tmp_path / "sweep", accuracies))
    assert (comparison.compared, comparison.repeated) == (["optimizer.lr"], ["seed"])
    assert [setting.values for setting in comparison.settings] == [{"optimizer.lr": 0.5}, {"optimizer.lr": 0.1}]
    first, second = (setting.metric("val/acc") for setting in comparison.settings)
    # 0.85 of (0.9, 0.7, 0.95): 0.0025 + 0.0225 + 0.01 = 0.035, over 2; 0.7 of (0.6, 0.8): 0.02 over 1
    assert first == Mean(pytest.approx(0.85), pytest.approx(0.0175**0.5), 3)
    assert second == Mean(pytest.approx(0.7), pytest.approx(0.02**0.5), 2)
    assert comparison.best.overrides == ["optimizer.lr=0.5", "seed=3"]


def test_the_gap_is_the_accuracy_on_the_training_less_that_on_the_validation_part(tmp_path):
    for seed, (train, val) in enumerate([(1.0, 0.7), (0.9, 0.8)]):
        metrics = {"train_eval/acc": train, "val/acc": val, "train/acc": 0.5}
        make_run(tmp_path / str(seed), f"seed={seed}", metrics=metrics, config={"seed": seed})
    head, (row,) = rows_of(compare(find([tmp_path]), "val/acc", 0.9))
    assert row[head.index("gap")] == "0.2000 ± 0.1414"  # of 0.3 and 0.1
    assert "train/acc" not in head


def test_where_no_job_has_the_metric_what_there_is_ranks(tmp_path):
    for name, r2 in (("a", 0.1), ("b", 0.9)):
        make_run(tmp_path / name, f"l1={r2}", metrics={"val/r2": r2, "val/loss": 1.0}, config={"l1": r2})
    comparison = compare(find([tmp_path]), "val/acc", 0.9)
    assert comparison.metric == "val/r2"
    assert comparison.best.metric("val/r2") == 0.9
    assert not [name for name in rows_of(comparison)[0] if name.startswith("to ")]


def test_runs_of_another_kind_show_what_they_have_in_place_of_an_accuracy(tmp_path):
    make_run(tmp_path / "a", "data=digits", metrics={"val/acc": 0.9, "val/loss": 0.1}, choices={"data": "digits"})
    make_run(tmp_path / "b", "data=regression", metrics={"val/r2": 0.5, "val/loss": 1}, choices={"data": "regression"})
    head, rows = rows_of(compare(find([tmp_path]), "val/acc", 0.9))
    assert {row[head.index("val/r2")] for row in rows} == {"0.5000", "-"}


def test_a_loss_is_best_when_low(tmp_path):
    folder = make_sweep(tmp_path / "sweep", {(0.1, 1): 0.6, (0.5, 1): 0.9, (0.9, 1): 0.2})
    assert [s.values["optimizer.lr"] for s in comparison_of(folder, metric="val/loss").settings] == [0.5, 0.1, 0.9]


def test_a_setting_with_a_job_that_failed_comes_after_those_without_whatever_the_others_gave(tmp_path):
    accuracies = {(0.1, 1): 0.6, (0.1, 2): 0.6, (0.5, 1): 0.99, (0.5, 2): None, (0.9, 1): None, (0.9, 2): None}
    comparison = comparison_of(make_sweep(tmp_path / "sweep", accuracies))
    assert [setting.values["optimizer.lr"] for setting in comparison.settings] == [0.1, 0.5, 0.9]
    assert comparison.settings[1].metric("val/acc") == Mean(0.99, None, 1)
    head, rows = rows_of(comparison)
    cells = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["status"] for row in cells] == ["completed", "completed (1 of 2), failed (1 of 2)", "failed"]
    assert [row["jobs"] for row in cells] == ["2", "1 of 2", "0 of 2"]
    assert [row["val/acc"] for row in cells] == ["0.6000 ± 0.0000", "0.9900", "-"]


def test_a_run_that_was_made_again_counts_once(tmp_path):
    for name in ("one", "two"):
        make_sweep(tmp_path / name, {(0.1, 1): 0.6, (0.1, 2): 0.8, (0.5, 1): 0.7})
    comparison = comparison_of(tmp_path)
    # of 0.6 and 0.8: 0.7, and the root of 0.02 over 1; of the four runs it would be the root of 0.04 over 3
    assert comparison.settings[0].metric("val/acc") == Mean(pytest.approx(0.7), pytest.approx(0.02**0.5), 2)
    head, rows = rows_of(comparison)
    assert [dict(zip(head, row, strict=True))["jobs"] for row in rows] == ["2 (4 runs)", "1 (2 runs)"]


def test_epochs_and_time_are_those_of_the_jobs_that_ended_well(tmp_path):
    make_run(tmp_path / "a", "seed=1", epochs=10, seconds=4.0, config={"seed": 1})
    make_run(tmp_path / "b", "seed=2", epochs=1, seconds=0.1, status="interrupted", config={"seed": 2})
    head, (row,) = rows_of(comparison_of(tmp_path))
    cells = dict(zip(head, row, strict=True))
    assert (cells["epochs"], cells["time"], cells["jobs"]) == ("10", "4.0 s", "1 of 2")


def test_values_are_shown_as_they_are(tmp_path):
    make_run(tmp_path / "a", "note='a b'", config={"note": "a b", "hidden": [8, 8]})
    make_run(tmp_path / "b", "hidden=[8]", config={"hidden": [8]})
    rows = rows_of(comparison_of(tmp_path))[1]
    assert sorted(row[:2] for row in rows) == [["", "[8]"], ["a b", "[8,8]"]]


def test_the_time_to_an_accuracy_is_that_of_the_first_validation_at_it(tmp_path):
    comparison = comparison_of(make_sweep(tmp_path / "sweep", {(0.1, 1): 0.6, (0.1, 2): 0.4}), accuracy=0.5)
    head, (row,) = rows_of(comparison)
    assert dict(zip(head, row, strict=True))["to 0.5"] == "1.5 s (1 of 2)"
    assert comparison.jobs[0].seconds_to(0.05) == 0.5
    assert comparison.jobs[0].seconds_to(0.61) is None


def test_a_choice_of_a_group_and_a_default_are_told_from_what_was_composed(tmp_path):
    one = make_run(tmp_path / "one", "optimizer=sgd", config={"seed": 0}, choices={"optimizer": "sgd"})
    two = make_run(tmp_path / "two", config={"seed": 0}, choices={"optimizer": "adam"})
    assert comparison_of(one, two).factors == {"optimizer": ["sgd", "adam"]}


def test_runs_in_which_nothing_varied_stand_for_themselves(tmp_path):
    folders = [make_run(tmp_path / name, "data=digits", metrics={"val/acc": value}) for name, value in
               (("a", 0.5), ("b", 0.7))]  # fmt: skip
    comparison = comparison_of(*folders)
    assert [setting.jobs[0].name for setting in comparison.settings] == ["b", "a"]
    assert rows_of(comparison)[1][0][0] == "b"


def test_the_command_of_a_job_has_all_of_its_overrides_quoted(tmp_path):
    folder = make_run(tmp_path / "a", "model.hidden=[8,8]", "experiment=optimizers", "sweep.fail_fast=True")
    (job,) = find([folder]).jobs
    job.record.environment["omp_num_threads"] = None
    assert command_of(job) == 'python -m lit_dl.train hydra.mode=RUN experiment=optimizers "model.hidden=[8,8]"'


@pytest.mark.parametrize(
    ("variable", "typed", "end"),
    [("4", [], " seed=1 threads=4"), ("4", ["threads=4"], " seed=1 threads=4"), ("4,2", [], " seed=1"),
     ("1; rm -r x", [], " seed=1"), (None, [], " seed=1")],
)  # fmt: skip
def test_the_command_of_a_job_asks_for_the_threads_that_it_had_in_any_shell(tmp_path, variable, typed, end):
    (job,) = find([make_run(tmp_path / "a", "seed=1", *typed)]).jobs
    job.record.environment["omp_num_threads"] = variable
    assert command_of(job) == f"python -m lit_dl.train{end}"
