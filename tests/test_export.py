"""A network goes out as ONNX only if it gives there what it gives here."""

import pytest
import torch
from tests.runs import PLAIN

from lit_dl import records
from lit_dl.export import NEEDED, main
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
    torch.save({"state_dict": {"network.1.weight": torch.zeros(3)}}, checkpoint)
    assert main([str(run), "--checkpoint", "last"]) == 2
    assert "does not fit the network" in capfd.readouterr().err
    checkpoint.unlink()
    assert main([str(run), "--checkpoint", "last"]) == 2
    assert "has no checkpoints/last.ckpt" in capfd.readouterr().err
    assert not (run / "network.onnx").exists()


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
