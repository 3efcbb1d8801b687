"""A network goes out as ONNX only if it gives there what it gives here."""

from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import DictConfig, OmegaConf
from tests.runs import PLAIN, config

from lit_dl import records
from lit_dl.callbacks.checkpoints import AtomicCheckpointIO
from lit_dl.errors import CommandError
from lit_dl.export import NEEDED, load, main
from lit_dl.models import CNN, MLP


@pytest.fixture
def run(command):
    """The folder of a finished run."""
    return command(*PLAIN, "model.hidden=[30]", "model.norm=batch", "dropout=0.5").folder


def test_without_the_extra_it_says_how_to_install_it(run, monkeypatch, capfd):
    monkeypatch.setattr("lit_dl.export.find_spec", lambda name: None if name == "onnxruntime" else name)
    assert main([str(run)]) == 2
    err = capfd.readouterr().err
    assert "onnxruntime must be installed" in err
    assert 'pip install -c constraints.txt -e ".[export]"' in err


def needs_the_extra() -> None:
    for package in NEEDED:
        pytest.importorskip(package, reason=f"{package} of the extra export is not installed")


def test_what_is_no_run_or_has_no_checkpoint_or_another_network_is_refused(run, tmp_path, capfd):
    needs_the_extra()
    assert main([str(tmp_path)]) == 2
    assert "no run folder" in capfd.readouterr().err
    checkpoint = records.last_checkpoint(run)
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"network.1.weight": torch.zeros(3)}}, checkpoint)
    assert main([str(run), "--checkpoint", "last"]) == 2
    assert "does not fit the network" in capfd.readouterr().err
    checkpoint.unlink()
    assert main([str(run), "--checkpoint", "last"]) == 2
    assert "has no checkpoints/last.ckpt" in capfd.readouterr().err
    assert not (run / "network.onnx").exists()


def exported(folder: Path, cfg: dict) -> Path:
    """A run folder as far as an export reads it: its config, and a checkpoint of a net of one hidden layer."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(cfg))
    network = MLP((1, 8, 8), 10, [3])
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    (folder / records.CHECKPOINTS).mkdir(exist_ok=True)
    torch.save({"state_dict": state}, records.last_checkpoint(folder))
    return folder


@cache
def default() -> DictConfig:
    return config("data=digits", "model.hidden=[3]")


def composed() -> dict:
    return OmegaConf.to_container(default())


STRANGE = {
    "data.batch_size": lambda cfg, node: cfg["data"].update(batch_size=node),
    "model.hidden.0": lambda cfg, node: cfg["model"].update(hidden=[node]),
    "activation.x": lambda cfg, node: cfg["activation"].update(x=node),
    "data.x": lambda cfg, node: cfg.update(y=node) or cfg["data"].update(x="${y}"),
}


@pytest.mark.parametrize("where", STRANGE)
def test_a_class_that_is_not_known_is_built_only_if_the_folder_is_trusted(tmp_path, where):
    spoilt, cfg = tmp_path / "spoilt", composed()
    STRANGE[where](cfg, {"_target_": "torch.save", "obj": 1, "f": str(spoilt)})
    folder = exported(tmp_path / "run", cfg)
    with pytest.raises(ValueError, match=rf"{where} builds torch\.save[\s\S]*add --trust"):
        load(folder, records.last_checkpoint(folder))
    assert not spoilt.exists()
    with suppress(CommandError):  # what it gives is of no use
        load(folder, records.last_checkpoint(folder), trust=True)
    assert spoilt.exists()


@pytest.mark.parametrize(
    "value", ["${new_folder:{spoilt}}", "${oc.decode:'${y}'}", "${oc.create:{}}", "${oc.env:HOME}", "${y}${y}"]
)
def test_a_stranger_s_config_is_not_resolved(tmp_path, value):
    cfg = composed()
    cfg["y"], cfg["data"]["split_seed"] = ".", value.replace("{spoilt}", str(tmp_path / "spoilt"))
    folder = exported(tmp_path / "run", cfg)
    with pytest.raises(ValueError, match=r"data\.split_seed=.* asks for more than the config has"):
        load(folder, records.last_checkpoint(folder))
    assert not (tmp_path / "spoilt").exists()


def test_a_config_is_read_as_plain_yaml_and_a_path_in_it_leads_nowhere(tmp_path):
    cfg, file = composed(), ".hydra/config.yaml"
    cfg["data"] = {"_target_": "lit_dl.data.MNIST", "root": "/elsewhere"}
    folder = exported(tmp_path / "run", cfg)
    with pytest.raises(ValueError, match=r"data\.root=/elsewhere leads out of the folder"):
        load(folder, records.last_checkpoint(folder))
    for wrong in (f"x: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'spoilt'}]", "x: [", "- 1"):
        (folder / file).write_text(wrong)
        with pytest.raises(ValueError, match="damaged"):
            load(folder, records.last_checkpoint(folder))
    (folder / file).write_text("data: ${x}")
    with pytest.raises(ValueError, match="seed of its config cannot be read"):
        load(folder, records.last_checkpoint(folder))
    assert not (tmp_path / "spoilt").exists()


@pytest.mark.parametrize("overrides", [[], ["data=kfold"], ["data=none", "model=himmelblau"]], ids=str)
def test_the_user_s_own_folders_need_no_trust(tmp_path, overrides):
    cfg = OmegaConf.to_container(config("data=digits", *overrides))
    cfg["model"] |= {"hidden": [3]} if "hidden" in cfg["model"] else {}
    for group in ("activation", "optimizer", "loss"):
        cfg[group]["_partial_"] = True  # as 0.1.0 wrote it
    folder = exported(tmp_path / "run", cfg)
    if "data=none" in overrides:
        with pytest.raises(ValueError, match="point on a surface"):
            load(folder, records.last_checkpoint(folder))
    else:
        _, in_shape, _ = load(folder, records.last_checkpoint(folder))
        assert in_shape == (1, 8, 8)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_the_file_gives_what_the_checkpoint_gives_for_any_batch(run, checkpoint, capfd):
    needs_the_extra()
    import onnxruntime

    assert main([str(run), "--to", "net.onnx", "--checkpoint", checkpoint]) == 0, capfd.readouterr().err
    assert "net.onnx" in capfd.readouterr().out
    state = torch.load(run / f"checkpoints/{checkpoint}.ckpt", weights_only=True)["state_dict"]
    network = MLP((1, 8, 8), 10, [30], norm="batch", dropout=0.5).eval()
    network.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
    session = onnxruntime.InferenceSession("net.onnx")
    for size in (1, 5, 300):
        inputs = torch.randn(size, 1, 8, 8)
        (found,) = session.run(None, {"inputs": inputs.numpy()})
        assert torch.allclose(torch.from_numpy(found), network(inputs), atol=1e-4)


@pytest.mark.slow
def test_a_convolutional_net_goes_out_too_and_a_wrong_file_is_not_kept(command, monkeypatch, capfd):
    needs_the_extra()
    folder = command(*PLAIN, "model=cnn").folder
    assert main([str(folder)]) == 0
    assert (folder / "network.onnx").is_file()
    (folder / "network.onnx").unlink()
    monkeypatch.setattr(
        "lit_dl.export.load", lambda *_: (torch.nn.Sequential(CNN((1, 8, 8), 10), Drifting()), (1, 8, 8), True)
    )
    assert main([str(folder)]) == 1
    assert "differ from torch's" in capfd.readouterr().err
    assert list(folder.glob("*.onnx*")) == []


class Drifting(torch.nn.Module):
    """Gives something else each time, as no static graph does."""

    calls = 0.0

    def forward(self, logits):
        self.calls += 1.0
        return logits + self.calls
