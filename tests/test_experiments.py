"""What the experiments on pathologies promise: the finding, that its advice is true, and that its cure cures (slow)."""

import os
import subprocess

import pytest
from tests.runs import PROGRAM, kinds, steps_and_values

from lit_dl import records
from lit_dl.records.finding import as_overrides

pytestmark = [pytest.mark.slow, pytest.mark.run]

SICK = {
    "vanishing_gradients": "vanishing_gradients",
    "exploding_gradients": "exploding_gradients",
    "dead_relu": "dead_units",
    "saturated_tanh": "saturated_units",
    "learning_rate_too_high": "learning_rate_too_high",
    "learning_rate_too_low": "learning_rate_too_low",
    "overfitting": "overfitting",
    "underfitting": "underfitting",
}
CURES = {name: [f"{name}_cured"] for name in SICK} | {
    "exploding_gradients": ["exploding_gradients_cured", "exploding_gradients_clipped"]
}
# Those that have no experiment, as commands.
OTHERS = {
    "stalled": ("data=digits", "activation=tanh", "init=constant", "init.val=0", "trainer.max_epochs=10"),
    "diverged": ("data=digits", "activation=leaky_relu", "optimizer=sgd", "optimizer.lr=3", "trainer.max_epochs=10"),
}


def advice_on(kind, record) -> list[str]:
    """The overrides that are advised against the one finding of a kind."""
    (finding,) = [finding for finding in record.diagnosis if finding.kind == kind]
    return as_overrides(finding.advice).split()


def first_over_last(folder) -> list[float]:
    """The first layer's RMS gradient over the last's, at each logged step."""
    first, last = (steps_and_values(folder, f"grad_rms/{layer}")[1] for layer in ("01_linear", "09_linear"))
    return [a / b for a, b in zip(first, last, strict=True)]


@pytest.mark.parametrize("name", SICK)
def test_a_sick_run_is_found_out_and_what_is_advised_cures_it(command, name):
    sick = command(f"experiment={name}", "trainer.accelerator=cpu").record
    assert SICK[name] in kinds(sick)
    cured = command(f"experiment={name}", *advice_on(SICK[name], sick), "trainer.accelerator=cpu").record
    assert SICK[name] not in kinds(cured)
    assert cured.status in ("completed", "early_stopped")


@pytest.mark.parametrize("name", OTHERS)
def test_the_advice_is_true_where_there_is_no_experiment_too(command, name):
    sick = command(*OTHERS[name]).record
    assert name in kinds(sick)
    changed = {override.partition("=")[0]: override for override in (*OTHERS[name], *advice_on(name, sick))}
    if "init=he" in changed.values():
        del changed["init.val"]  # of the initialisation before
    assert not {name, "diverged"} & kinds(command(*changed.values()).record)


@pytest.mark.parametrize("name", sorted(cure for cures in CURES.values() for cure in cures))
def test_a_cured_run_no_longer_has_the_finding(command, name):
    sick = name.removesuffix("_cured").removesuffix("_clipped")
    record = command(f"experiment={name}", "trainer.accelerator=cpu").record
    assert not {SICK[sick], "diverged"} & kinds(record)
    assert record.status in ("completed", "early_stopped")


def test_the_numbers_of_vanishing_gradients_are_those_of_the_notes(command):
    assert max(first_over_last(command("experiment=vanishing_gradients").folder)) < 1e-3
    assert first_over_last(command("experiment=vanishing_gradients_cured").folder)[0] > 0.1


def test_cures_pay_in_accuracy(command):
    for name, part, gain in (("underfitting", "train", 0.15), ("saturated_tanh", "test", 0.03)):
        sick, cured = (command(f"experiment={run}").record.metrics[f"{part}/acc"] for run in (name, f"{name}_cured"))
        assert cured - sick >= gain  # as the head of the cured experiment says


def test_under_ddp_a_divergence_is_found_too(tmp_path):
    ddp = ["trainer.strategy=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*PROGRAM, "experiment=exploding_gradients", *ddp], cwd=tmp_path, check=True, env=environment, timeout=120
    )
    record = records.read_run(next(tmp_path.rglob("metrics.json")).parent)
    assert record.status == "diverged"
    assert {"diverged", "exploding_gradients"} <= kinds(record)
    assert record.diagnosis[0].since_step == 4  # as on one device


# Rates that are usual for each optimizer.
RATES = {
    "sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "adam": 1e-3, "adamw": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3,
    "adagrad": 0.01, "adadelta": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("optimizer", RATES)
def test_a_sensible_setting_raises_no_alarm(command, optimizer, activation):
    lr = 0.5 if (optimizer, activation) == ("sgd", "sigmoid") else RATES[optimizer]  # sigmoid nets need longer steps
    settings = (f"optimizer={optimizer}", f"optimizer.lr={lr}", f"activation={activation}", "trainer.max_epochs=20")
    assert kinds(command("data=digits", *settings, "seed=2").record) <= {"healthy", "overfitting"}
