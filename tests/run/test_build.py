"""Every YAML composes and builds."""

import inspect
import re
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from tests.runs import CONF, choices, config, request

from lit_dl.descent.surfaces import SURFACES
from lit_dl.run.build import build

# What some data sets need: files of the user's own, which the test writes, or another loss or model.
OVERRIDES = {
    "arrays": ["data.path=my.npz"],
    "quickdraw": ["data.path=."],
    "regression": ["loss=mse"],
    "none": ["model=himmelblau"],
}
CHOICES = sorted(path for path in CONF.rglob("*.yaml") if path.parent != CONF and "hydra" not in path.parts)
# What build.py passes itself, and what is of no use here: nothing is predicted, the data sets bring their own sampler
# (which Lightning would replace to overfit a few batches: data.train_size does that), and lit_dl records
# hyperparameters by itself.
NOT_IN_YAML = {
    "logger", "callbacks", "default_root_dir", "enable_model_summary", "limit_predict_batches", "barebones",
    "use_distributed_sampler", "reload_dataloaders_every_n_epochs", "enable_autolog_hparams", "model_registry",
    "overfit_batches",
}  # fmt: skip
# Each optimizer with relu and each activation with adam: neither knows of the other.
PAIRS = sorted(
    {*((name, "relu") for name in choices("optimizer")), *(("adam", name) for name in choices("activation"))}
)


def group_and_choice(path: Path) -> tuple[str, str]:
    """Of a YAML, as they are typed: a choice may be in a folder of its group."""
    group, *choice = path.relative_to(CONF).with_suffix("").parts
    return group, "/".join(choice)


# Models that are not for ten classes of 8x8 pixels, with data they are for; MNIST is not read before it is set up.
THEIR_DATA = {
    "perceptron": ["data=spiral", "data.classes=2", "loss=binary_cross_entropy"],
    "lenet": ["data=mnist"],
    "alexnet": ["data=mnist"],
    **{surface: ["data=none"] for surface in SURFACES},
}


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: "=".join(group_and_choice(path)))
def test_every_choice_of_every_group_composes_and_builds(path, tmp_path, monkeypatch):
    group, choice = group_and_choice(path)
    overrides = [] if group in ("data", "experiment") else ["data=digits"]
    overrides = THEIR_DATA.get(path.stem, overrides) if group == "model" else overrides
    if group == "data" and path.stem in OVERRIDES:
        monkeypatch.chdir(tmp_path)
        overrides = OVERRIDES[path.stem]
        np.savez("my.npz", x=np.zeros((20, 3)), y=np.arange(20) % 4)
        for name in ("cat", "dog"):
            np.save(f"{name}.npy", np.zeros((20, 784), dtype=np.uint8))
    asked = request(tmp_path, *overrides, f"{group}={choice}")
    run = build(asked)
    if asked.cfg.data["_target_"].endswith("NoData"):
        assert run.task.network().shape == ()
        return
    outputs = 1 if asked.cfg.model["_target_"].endswith("Perceptron") else run.data.out_features
    assert run.task.network(torch.zeros(2, *run.data.in_shape)).shape == (2, outputs)


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_an_experiment_opens_with_its_command_what_to_expect_and_what_was_measured(experiment):
    lines = (CONF / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    head = "\n".join(takewhile(lambda line: line.startswith("#"), lines))
    assert re.search(rf"^#   python -m lit_dl\.(train experiment=|hardware ){experiment}$", head, re.MULTILINE)
    assert "\n# Expect:" in head
    assert "\n# Measured:" in head


@pytest.mark.parametrize(("optimizer", "activation"), PAIRS)
def test_every_optimizer_and_every_activation_trains(optimizer, activation, tmp_path):
    run = build(
        request(
            tmp_path, "data=digits", f"optimizer={optimizer}", f"activation={activation}", "trainer.max_steps=2",
            "logger=off", "trainer.limit_val_batches=0", "trainer.enable_checkpointing=false",
            "trainer.enable_progress_bar=false", "diagnostics=off", "model.hidden=[8]", "data.train_size=100",
            "trainer.max_epochs=2", "trainer.accelerator=cpu",
        )
    )  # fmt: skip
    before = [p.detach().clone() for p in run.task.parameters()]
    run.trainer.fit(run.task, run.data)
    assert run.trainer.global_step == 2
    assert all(torch.isfinite(p).all() for p in run.task.parameters())
    assert any(not torch.equal(p, old) for p, old in zip(run.task.parameters(), before, strict=True))


def test_the_same_request_builds_the_same_weights_and_another_seed_others(tmp_path):
    def weights(*overrides: str) -> torch.Tensor:
        return next(build(request(tmp_path, "data=digits", *overrides)).task.parameters())

    assert torch.equal(weights(), weights("seed=0"))
    assert not torch.equal(weights(), weights("seed=1"))


def test_batch_gradient_descent_takes_all_samples_in_a_step():
    assert config("optimizer=bgd").data.batch_size == "full"
    assert config("optimizer=bgd", "data.batch_size=32").data.batch_size == 32


def test_the_trainer_takes_every_argument_of_lightning():
    known = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    ours = {key for key in config().trainer if not key.startswith("_")}
    assert ours <= known
    assert known - ours <= NOT_IN_YAML


def test_no_yaml_repeats_what_a_data_set_knows_or_what_every_choice_is():
    for path in CONF.rglob("*.yaml"):
        text = path.read_text()
        assert "784" not in text.replace("784-200-200-10", ""), path
        assert "_partial_" not in text, path
