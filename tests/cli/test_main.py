"""What goes wrong is said in one message, with the right exit code, and nothing is left behind."""

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tests.runs import check_refused

# One command for each way that a wrong one takes; test_values, test_hints, test_resume and test_overrides have the
# other values of each.
WRONG = [
    ("optimizer=admm", ["optimizer=admm", "adam", "rmsprop", "sgd"]),  # no such choice
    ("optimizer.lrr=1", ["optimizer.lrr", "Did you mean optimizer.lr"]),  # no such key
    ("scheduler=null", ["scheduler=null", "a group takes the name of a choice"]),
    ("optimizer=null", ["optimizer=null", "a group takes the name of a choice"]),
    ("dropout=1.5", ["dropout=1.5", "from 0 to 1"]),  # a value that no class receives
    ("data.batch_size=0", ["data:", "batch_size is 0", "from 1 up, or full"]),
    ("data.train_size=1351", ["data:", "1,351", "1,350 training samples"]),  # known once the data is loaded
    ("model.hidden=[0]", ["model:", "hidden is [0]", "from 1 up"]),
    ("init=he +init.gain=1", ["init:", "gain"]),
    ("+optimizer.foo=1", ["optimizer:", "foo"]),
    ("scheduler=onecycle trainer.max_epochs=-1", ["scheduler:", "trainer.max_epochs"]),
    ("loss.label_smoothing=2", ["loss.label_smoothing=2", "from 0 to 1"]),
    ("early_stopping=on early_stopping.patience=abc", ["early_stopping.patience=abc", "from 1 up"]),
    ("early_stopping=on early_stopping.monitor=val/r2", ["early_stopping.monitor=val/r2", "train/loss, train/acc"]),
    ("diagnostics.on_divergence=no", ["diagnostics:", "on_divergence is 'no'", "stop or continue"]),
    ("logger._target_=nowhere.Logger", ["logger:", "nowhere.Logger"]),
    ("trainer.precision=7", ["trainer:", "7", "16-mixed"]),  # Lightning's own check
    ("trainer.val_check_interval=1000", ["trainer.val_check_interval=1000", "fewer batches"]),
    ("data=[digits,spiral]", ["data=[digits,spiral]", "the name of a choice", "arrays, digits"]),
    ("hydra.job=${seed}", ["hydra.job=${seed}: it cannot be read"]),
    ("optimizer.lr=${nothing}", ["optimizer.lr=${nothing}", "'nothing' not found"]),
    ("+logger.foo=1", ["logger:", "foo is 1"]),
    ("trainer.limit_val_batches=0.1", ["trainer:", "limit_val_batches"]),  # Lightning's, with the data at hand
    ("experiment=himmelblau data=none l1=0.5", ["l1=0.5", "no weights"]),
    ("hardware=3", ["hardware=3", "experiment=devices"]),
    ("resume=nowhere", ["resume=nowhere", "no run folder"]),
    ("hydra.run.dir=", ["hydra.run.dir", "name a folder"]),
]


@pytest.mark.parametrize(("overrides", "words"), WRONG, ids=[overrides for overrides, _ in WRONG])
def test_a_wrong_command_says_why_and_leaves_nothing(command, overrides, words):
    data = [] if "data=" in overrides or "resume=" in overrides else ["data=digits"]
    check_refused(command(*data, *overrides.split()), words)


NOTHING = [
    ("-m", "there is nothing to run"),
    ("--", "nothing follows it"),
    ("--config-dir", "a value is missing"),
    ("--epochs 5", "keys are typed without dashes. Did you mean trainer.max_epochs=5?"),
    ("digits", "type data=digits"),
    ("-m seed=1-3", "seed=1,2,3"),
    ("--help optimiser", "Did you mean optimizer?"),
]


@pytest.mark.parametrize(("typed", "words"), NOTHING, ids=[typed for typed, _ in NOTHING])
def test_what_cannot_have_been_meant_starts_nothing(command, typed, words):
    check_refused(command(*typed.split()), [words])


def test_an_accelerator_that_is_not_there_names_what_is(command):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has a GPU")
    result = command("data=digits", "trainer.accelerator=gpu")
    assert result.code == 2
    assert "trainer.accelerator=gpu" in result.err
    assert "auto, cpu" in result.err


def test_a_value_error_of_a_sweeper_is_said_in_its_own_words(command, monkeypatch):
    def broken(overrides):
        raise ValueError("the grid has a hole")

    monkeypatch.setattr("lit_dl.sweeps.grid.grid", broken)
    check_refused(command("-m", "data=digits", "seed=1,2"), ["error: the grid has a hole"])


def test_a_value_error_of_a_resolver_is_said_in_its_own_words(command):
    def broken(name):
        raise ValueError(f"{name} cannot be resolved today")

    OmegaConf.register_new_resolver("broken", broken)
    try:
        result = command("data=digits", "seed=${broken:dice}")
    finally:
        OmegaConf.clear_resolver("broken")
    assert result.code == 2
    assert "dice cannot be resolved today" in result.err
    assert "group" not in result.err


def test_a_full_trace_is_shown_on_request(command, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    result = command("data=digits", "model.hidden=[0]")
    assert result.code == 2
    assert "Traceback" in result.err


def test_an_unwritable_run_folder_is_a_failure_with_the_way_out(command):
    Path("outputs").write_text("a file where the folder should be", encoding="utf-8")
    result = command("data=digits")
    assert result.code == 1
    assert "cannot write the run folder" in result.err
    assert "hydra.run.dir=DIR" in result.err
    assert "Traceback" not in result.err


def test_a_wrong_command_leaves_a_folder_with_other_files_alone(command):
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("keep", encoding="utf-8")
    assert command("data=digits", "model.hidden=[0]", "hydra.run.dir=mine").code == 2
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]


def test_a_run_never_begins_in_the_folder_of_another(command):
    assert command("data=digits", "trainer.max_epochs=1", "hydra.run.dir=mine").code == 0
    folder = Path("mine")
    ours = [path for path in folder.rglob("*") if path.is_file() and path.name != "train.log"]  # still open here
    before = {path: path.read_bytes() for path in ours}
    for overrides in (["seed=9"], ["dropout=7"]):
        result = command("data=digits", *overrides, "hydra.run.dir=mine")
        assert result.code == 2
        assert "resume=mine" in result.err
    assert {path: path.read_bytes() for path in ours} == before


def test_a_broken_yaml_of_the_users_is_named(command):
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/broken.yaml").write_text("a: [1", encoding="utf-8")
    result = command("--config-dir", "conf", "data=digits", "model=broken")
    assert result.code == 2
    assert "broken.yaml" in result.err
    assert "Traceback" not in result.err


def test_a_data_set_of_the_users_joins_with_a_short_yaml_and_is_resumed(command):
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/mine.yaml").write_text("_target_: lit_dl.data.Digits\nbatch_size: 128\n", encoding="utf-8")
    result = command("--config-dir", "conf", "data=mine", "trainer.max_epochs=1")
    assert result.code == 0, result.err
    hint = command("--config-dir", "conf", "data=mine", "data.batchsize=3").err
    assert "Did you mean data.batch_size" in hint
    assert command(f"resume={result.folder}", "trainer.max_epochs=2", "--config-dir", "conf").code == 0
    assert result.record.epochs == 2


def test_two_runs_of_the_same_second_get_a_folder_each(command):
    same_second = "hydra.run.dir='${new_folder:outputs/train/then}'"
    for _ in range(2):
        assert command("data=digits", "trainer.fast_dev_run=true", same_second).code == 0
    assert {path.name for path in Path("outputs/train").iterdir()} == {"then", "then_2"}


def test_a_job_that_cannot_begin_does_not_end_the_sweep(command):
    result = command("-m", "data=digits", "trainer.max_epochs=1", "data.train_size=1351,100")
    assert result.code == 1
    assert "train_size is 1,351" in result.err
    statuses = {path.parent.name[:1]: path.read_text() for path in Path("outputs").rglob("metrics.json")}
    assert '"failed"' in statuses["0"]
    assert '"completed"' in statuses["1"]


@pytest.mark.run
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["--cfg", "job"], ["optimizer.lrr=1"], ["optimizer=admm"]]
)
def test_quick_answers_import_neither_torch_nor_lightning(arguments, tmp_path):
    program = (
        "import sys; from lit_dl.train import main; main(sys.argv[1:]); "
        "assert not {'torch', 'lightning', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "outputs").exists()
