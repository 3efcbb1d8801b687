"""What tests share: a request without a command, a short run, the program, and its curves read back."""

import signal
import sys
from importlib.resources import files
from pathlib import Path

from hydra import compose, initialize_config_module
from omegaconf import DictConfig, open_dict
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_dl import records
from lit_dl.run.request import RunRequest

QUICK = ("data=digits", "trainer.max_epochs=2", "trainer.accelerator=cpu")
PLAIN = (*QUICK, "diagnostics=off")  # nearly twice as fast, where nothing is asked of the diagnosis
PROGRAM = [sys.executable, "-m", "lit_dl.train"]
CONF = Path(str(files("lit_dl.conf")))

# The experiments that compare, which test_comparisons runs, with what each varies.
COMPARISONS = {
    "optimizers": "optimizer",
    "activations": "activation",
    "five_cures": "experiment",
    "losses": "loss",
    "dropout": "dropout",
    "batch_sizes": "data.batch_size",
    "wide_or_deep": "model.hidden",
    "learning_rates": "optimizer.lr",
    "training_set_size": "data.train_size",
    "inside_optimizers": "optimizer",
    "lenet_or_alexnet": "model",
}


def choices(group: str) -> list[str]:
    """The choices of a config group, less those in folders of their own."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def config(*overrides: str) -> DictConfig:
    with initialize_config_module("lit_dl.conf", version_base="1.3"):
        return compose("train", list(overrides))


def request(folder: Path, *overrides: str) -> RunRequest:
    """What the command makes of these overrides, for a run folder, without the command."""
    with initialize_config_module("lit_dl.conf", version_base="1.3"):
        cfg = compose("train", list(overrides), return_hydra_config=True)
    chosen = records.named_choices(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return RunRequest(cfg, folder, list(overrides), chosen)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def steps_and_values(folder: Path, tag: str) -> tuple[list[int], list[float]]:
    scalars = events(folder).Scalars(tag)
    return [scalar.step for scalar in scalars], [scalar.value for scalar in scalars]


def kinds(record: records.RunRecord) -> set[str]:
    """What was found in a run."""
    return {finding.kind for finding in record.diagnosis}


def check_refused(result, words) -> None:
    """A wrong command was answered in a few lines with these words, and left nothing."""
    assert result.code == 2
    for word in words:
        assert word in result.err
    assert "Traceback" not in result.err
    assert len(result.err.strip().splitlines()) <= 4
    assert not Path("outputs").exists()


def hear_interrupts() -> None:
    """For ``preexec_fn`` of a process that is to be stopped: what a shell starts in the background ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
