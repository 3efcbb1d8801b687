"""The command that trains a run's first steps again, and names what is not the same."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.runs import PROGRAM

from lit_dl import records
from lit_dl.train import main as train
from lit_dl.verify import main

pytestmark = pytest.mark.run

SMALL = ("trainer.accelerator=cpu", "trainer.max_steps=12", "logger=off", "model.hidden=[8]", "diagnostics=off")


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A folder with my.npz and a run that was trained on it."""
    place = tmp_path_factory.mktemp("good")
    generator = np.random.default_rng(0)
    np.savez(place / "my.npz", x=generator.normal(size=(200, 4)), y=np.arange(200) % 3)
    own = ("data=arrays", f"data.path={place / 'my.npz'}", "dropout=0.2", "scheduler=cosine", "data.batch_size=10")
    assert train([*SMALL, *own, f"hydra.run.dir={place / 'run'}"]) == 0
    return place


@pytest.fixture
def run(good, tmp_path) -> Path:
    """A copy of that run, to be harmed."""
    return shutil.copytree(good / "run", tmp_path / "run")


@pytest.fixture
def verified(capfd):
    """Verify a run folder: exit code, and what was said by the name before it."""

    def verify(folder: Path, *flags: str) -> tuple[int, dict[str, str]]:
        capfd.readouterr()
        code = main([str(folder), *flags])
        out, err = capfd.readouterr()
        found: dict[str, str] = {"error": err}
        name = ""
        for line in out.splitlines():
            name = line[:13].strip() or name
            found[name] = f"{found[name]} {line[13:]}" if not line[:13].strip() else line[13:]
        return code, found

    return verify


def change(folder: Path, **parts) -> None:
    """Replace parts of its receipt."""
    path = folder / records.RECEIPT_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_good_run_is_the_same_to_the_bit_and_nothing_in_it_is_touched(run, verified):
    before = contents(run)
    code, said = verified(run)
    assert (code, said["error"]) == (0, "")
    assert said.pop("first steps") == "same to the bit: 10 steps, each loss and each layer's parameters"
    names = ("config", "data", "versions", "platform", "device", "git commit", "threads")
    assert all(said[name].startswith("same") for name in names)
    assert contents(run) == before


def test_another_seed_or_rate_in_the_record_is_named_and_parts_at_the_first_step(run, verified):
    config = records.read_receipt(run).config
    change(run, config={**config, "seed": 5})
    code, said = verified(run)
    assert code == 1
    assert "seed: recorded 5, here 0" in said["config"]
    assert said["first steps"].startswith("step 1 of 10 is the first that differs: its loss, recorded ")

    change(run, config={**config, "optimizer": {**config["optimizer"], "lr": 0.5}})
    code, said = verified(run)
    assert code == 1
    assert "optimizer.lr: recorded 0.5, here 0.001" in said["config"]
    assert "step 1 of 10 is the first that differs: the parameters of 01_linear and 02_linear" in said["first steps"]


@pytest.mark.slow
def test_another_rate_in_the_folder_s_config_is_named_though_the_steps_are_the_same(run, verified):
    path = run / ".hydra" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["optimizer"]["lr"], config["trainer"]["max_epochs"] = 0.01, 50  # the second as when it is resumed
    path.write_text(yaml.safe_dump(config))
    code, said = verified(run)
    assert code == 1
    assert said["config"] == "optimizer.lr: recorded 0.001, in .hydra/config.yaml 0.01"
    assert said["first steps"].startswith("same to the bit")


def test_an_altered_checksum_or_loss_is_named_with_its_step(run, verified):
    steps = json.loads((run / "receipt.json").read_text())["steps"]
    steps[2]["layers"]["02_linear"] = "0" * 64
    change(run, steps=steps)
    code, said = verified(run)
    assert code == 1
    assert said["first steps"].startswith("step 3 of 10 is the first that differs: the parameters of 02_linear ")

    right = float.fromhex(steps[1]["losses"][0])
    steps[1]["losses"] = [float(np.nextafter(right, 9)).hex()]
    change(run, steps=steps)
    code, said = verified(run)
    assert code == 1
    assert said["first steps"].startswith("step 2 of 10 is the first that differs: its loss, recorded ")
    assert said["first steps"].endswith(f"over all 10 steps losses differ by {np.spacing(right):.3g} at most")


def test_other_data_are_named_and_data_that_are_gone(good, run, verified):
    data = good / "my.npz"
    kept = data.read_bytes()
    try:
        arrays = dict(np.load(data))
        arrays["x"][:, 1] += 1e-3
        np.savez(data, **arrays)
        code, said = verified(run)
        assert code == 1
        assert said["data"].startswith(f"recorded {records.read_receipt(run).data['sha256']}, here ")
        assert said["config"] == "same"
        assert "is the first that differs" in said["first steps"]
        data.unlink()
        code, said = verified(run)
        assert code == 1
        assert "my.npz is no file" in said["error"]
    finally:
        data.write_bytes(kept)


@pytest.mark.slow
def test_other_surroundings_are_named_but_the_same_bits_are_the_same(run, verified):
    receipt = records.read_receipt(run)
    packages = {**receipt.environment["packages"], "torch": "1.13"}
    other = {**receipt.environment, "packages": packages, "git_commit": "abc", "platform": "Plan 9", "device": "cuda:0"}
    change(run, environment=other, threads=receipt.threads + 1)
    code, said = verified(run)
    assert said["versions"] == f"torch: recorded 1.13, here {receipt.environment['packages']['torch']}"
    assert said["git commit"].startswith("recorded abc, here ")
    assert said["platform"].startswith("recorded Plan 9, here ")
    assert said["device"] == "recorded cuda:0, here cpu"
    count = receipt.threads
    assert said["threads"] == f"recorded {count + 1}, here {count}; the steps were made with {count + 1}"
    assert code == (0 if said["first steps"].startswith("same to the bit") else 1)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "receipt.json").unlink(), "older versions of lit_dl wrote none"),
        (lambda folder: (folder / "receipt.json").write_text("{"), "is damaged"),
        (lambda folder: change(folder, steps=[]), "stopped before its first one"),
        (lambda folder: change(folder, processes=2), "only runs of one process can be verified"),
        (lambda folder: change(folder, config={"seed": 0}), "receipt.json"),
        (lambda folder: shutil.rmtree(folder / ".hydra"), "is no run folder"),
    ],
    ids=["none", "damaged", "no_step", "ddp", "no_config", "no_run"],
)
def test_what_cannot_be_verified_is_said(run, verified, harm, words):
    harm(run)
    code, said = verified(run)
    assert code == 2
    assert words in said["error"]
    assert len(said["error"].strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("data=regression", "loss=mse"),
        ("data=kfold", "data@data.base=digits", "data.fold=1"),
        ("data=digits", "model=cnn", "~model.hidden", "scheduler=onecycle", "trainer.max_steps=-1"),
        ("data=digits", "optimizer=bgd", "early_stopping=on"),
        ("data=digits", "trainer.accumulate_grad_batches=2", "data.shift=1", "data.rotate=5", "diagnostics=basic"),
        ("experiment=himmelblau", "~model.hidden"),
    ],
    ids=" ".join,
)
def test_other_kinds_of_runs_are_the_same_too(tmp_path, verified, overrides):
    keys = {override[1:] for override in overrides if override.startswith("~")}
    small = [override for override in SMALL if override.partition("=")[0] not in keys]
    own = [override for override in overrides if not override.startswith("~")]
    assert train([*small, "trainer.max_epochs=1", *own, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    code, said = verified(tmp_path / "run")
    assert (code, said["error"], said["config"]) == (0, "", "same")
    assert said["first steps"].startswith("same to the bit")


@pytest.mark.slow
def test_a_killed_run_is_verified_and_so_is_a_resumed_one(tmp_path, verified):
    folder = tmp_path / "run"
    own = ("data=digits", "trainer.accelerator=cpu", "trainer.max_epochs=1000", "dropout=0.1")
    process = subprocess.Popen([*PROGRAM, *own, f"hydra.run.dir={folder}"])
    try:
        while not records.last_checkpoint(folder).is_file():
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert verified(folder)[0] == 0
    done = torch.load(records.last_checkpoint(folder), weights_only=True)["epoch"] + 1
    assert train([f"resume={folder}", f"trainer.max_epochs={done + 1}"]) == 0
    code, said = verified(folder)
    assert (code, said["config"]) == (0, "same")


@pytest.mark.slow
def test_configs_of_the_user_s_own_are_found_again(tmp_path, verified):
    own = tmp_path / "conf" / "model"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("_target_: lit_dl.models.MLP\nhidden: [7]\n")
    folder = tmp_path / "run"
    mine = ("data=digits", "model=mine", "trainer.max_steps=3", "logger=off", "trainer.accelerator=cpu")
    assert train([f"--config-dir={tmp_path / 'conf'}", *mine, f"hydra.run.dir={folder}"]) == 0
    assert verified(folder, "--trust")[1]["config"] == "same"
    assert "looked into with --trust" in verified(folder)[1]["config"]
    shutil.rmtree(tmp_path / "conf")
    code, said = verified(folder, "--trust")
    assert code == 1
    assert said["config"].startswith("the overrides cannot be composed here: ")
    assert said["first steps"].startswith("same to the bit")
