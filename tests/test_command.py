"""What goes wrong is said in one message, with the right exit code, and nothing is left behind."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.errors import MissingConfigException
from runs import check_refused

from lit_dl.checks import explain

WRONG = [
    ("optimizer=admm", ["optimizer=admm", "adam", "rmsprop", "sgd"]),
    ("optimizer=scratch/admm", ["optimizer=scratch/admm", "Did you mean scratch/adam"]),
    ("optimizer/scratch=adam", ["optimizer/scratch", "typed optimizer=scratch/NAME"]),
    ("optimizer=scratch/adam optimizer.betas=[0.9,1.0]", ["optimizer:", "betas is", "below 1"]),
    ("optimizer.layer_lr_decay=2", ["optimizer:", "layer_lr_decay is 2", "above 0 and at most 1"]),
    ("optimizer.layer_lr_decay=0", ["optimizer:", "layer_lr_decay is 0", "above 0 and at most 1"]),
    ("optimizer.layer_lr_decy=0.8", ["optimizer.layer_lr_decy", "Did you mean optimizer.layer_lr_decay"]),
    ("optimizer.decay_biases_and_norms=3", ["optimizer:", "decay_biases_and_norms is 3", "true or false"]),
    (
        "scheduler=cosine scheduler.eta_min=0.001 optimizer.layer_lr_decay=0.5",
        ["scheduler:", "eta_min=0.001", "take eta_min=0"],
    ),
    ("experiment=mnst_mlp", ["Did you mean mnist_mlp"]),
    ("optimizer.lrr=1", ["optimizer.lrr", "Did you mean optimizer.lr"]),
    ("optimiser=adam", ["optimiser", "Did you mean optimizer"]),
    ("trainer.max_epoch=3", ["trainer.max_epoch", "trainer.max_epochs"]),
    ("lr=0.1", ["lr", "optimizer.lr"]),
    ("dropout=1.5", ["dropout=1.5", "from 0 to 1"]),
    ("optimizer.lr=-1", ["optimizer.lr=-1", "above 0"]),
    ("optimizer.lr=nan", ["optimizer.lr=nan", "above 0"]),
    ("optimizer.weight_decay=-1", ["optimizer.weight_decay=-1", "from 0 up"]),
    ("l1=inf", ["l1=inf", "from 0 up"]),
    ("compile=2", ["compile=2", "true or false"]),
    ("animate=2", ["animate=2", "true or false"]),
    ("seed=abc", ["seed=abc", "whole number", "4294967295"]),
    ("seed=-1", ["seed=-1", "from 0"]),
    ("trainer.max_epochs=-5", ["trainer.max_epochs=-5", "-1 for no limit"]),
    ("optimizer.lr=null", ["optimizer.lr=None", "above 0"]),
    ("scheduler=null", ["scheduler=null", "a group takes the name of a choice"]),
    ("trainer.max_steps=0", ["trainer.max_steps=0", "-1 for no limit"]),
    ("trainer.limit_train_batches=0", ["trainer.limit_train_batches=0"]),
    ("trainer.limit_val_batches=0.1", ["trainer:", "limit_val_batches"]),
    ("trainer.accumulate_grad_batches=0", ["trainer.accumulate_grad_batches=0", "from 1 up"]),
    ("trainer.check_val_every_n_epoch=0", ["trainer.check_val_every_n_epoch=0", "from 1 up"]),
    ("trainer.gradient_clip_val=-1", ["trainer.gradient_clip_val=-1", "above 0"]),
    ("trainer.strategy=ddp_spawn", ["trainer.strategy=ddp_spawn", "ddp"]),
    ("early_stopping=on early_stopping.patience=abc", ["early_stopping.patience=abc", "from 1 up"]),
    (
        "early_stopping=on early_stopping.monitor=val/acc early_stopping.mode=min",
        ["early_stopping.mode=min", "maximum"],
    ),
    ("early_stopping=on trainer.limit_val_batches=0", ["never validates", "train/loss"]),
    ("early_stopping=on trainer.enable_checkpointing=false", ["trainer.enable_checkpointing=true"]),
    ("data.normalize=abc", ["normalize is 'abc'", "true or false"]),
    ("data.split_seed=99999999999999999999999", ["split_seed is 99999999999999999999999", "2**63"]),
    ("data=spiral data.noise=abc", ["noise is 'abc'", "from 0 up"]),
    ("data=spiral data.turns=abc", ["turns is 'abc'"]),
    ("data=arrays", ["path is null", "np.savez", "data.path=my.npz"]),
    ("data=quickdraw data.per_class=one", ["per_class is 'one'", "from 2 up, or null"]),
    ("data=regression data.signal=-1", ["signal is -1", "from 0 up"]),
    ("data.shift=-1", ["shift is -1", "from 0 up"]),
    ("data.shift=0.5", ["shift is 0.5", "whole number"]),
    ("data.shift=8", ["shift is 8", "(1, 8, 8)", "smaller shift"]),
    ("data.rotate=181", ["rotate is 181", "0 to 180"]),
    ("data=kfold data@data.base=spiral data.rotate=5", ["rotate is 5", "(2,)", "only images"]),
    ("hydra.run.dir=", ["hydra.run.dir", "name a folder"]),
    ("resume=", ["resume=", "name a run folder"]),
    ("-m resume=somewhere", ["resume=somewhere", "without -m"]),
    ("resume=somewhere model=cnn", ["model=cnn would make another run", "trainer"]),
    ("trainer.max_epochs=0", ["trainer.max_epochs=0", "from 1 up"]),
    ("data.batch_size=0", ["batch_size is 0", "from 1 up, or full"]),
    ("data.batch_size=all", ["batch_size is 'all'", "full"]),
    ("data.val_fraction=1.0", ["val_fraction is 1.0", "between 0 and 1"]),
    ("data.train_size=1351", ["1,351", "1,350 training samples"]),
    ("data.label_noise=2", ["label_noise is 2", "between 0 and 1"]),
    ("model.hidden=[1] loss=mse loss.link=tanh", ["link is 'tanh'", "sigmoid, softmax or null"]),
    ("early_stopping=on early_stopping.monitor=val/r2", ["val/r2", "train/loss, train/acc, val/loss, val/acc"]),
    ("loss.label_smoothing=2", ["loss:", "label_smoothing"]),
    ("experiment=himmelblau data=none l1=0.5", ["l1=0.5", "no weights"]),
    ("data=kfold data@data.base=none model=himmelblau", ["data:", "'none'", "no samples"]),
    ("data=regression loss=mse loss.link=softmax", ["loss:", "link is 'softmax'", "for classes"]),
    ("data=regression loss=cross_entropy", ["loss:", "CrossEntropyLoss is for classes", "loss=mse"]),
    ("data=spiral data.classes=2 model=perceptron", ["loss:", "a single one", "loss=binary_cross_entropy"]),
    ("data.split_seed=-1", ["split_seed is -1"]),
    ("data=none model=mlp", ["data=none", "model=himmelblau"]),
    ("model=himmelblau", ["himmelblau", "data=none"]),
    ("data=none model=himmelblau model.start=[1]", ["start is [1]", "two finite numbers"]),
    ("data=none model=himmelblau model.surface=sphere", ["surface is 'sphere'", "himmelblau, rosenbrock"]),
    ("data=none model=himmelblau data.steps=0", ["steps is 0", "from 1 up"]),
    ("data=none model=himmelblau early_stopping=on", ["no such metric", "train/loss"]),
    (
        "data=none model=himmelblau early_stopping=on early_stopping.monitor=train/acc",
        ["early_stopping.monitor=train/acc", "no such metric", "train/loss"],
    ),
    ("model.hidden=[0]", ["hidden is [0]", "from 1 up"]),
    ("model.hidden=100", ["hidden is 100", "list of widths"]),
    ("model.norm=group", ["norm is 'group'", "batch, layer or null"]),
    ("model=cnn data=spiral", ["CNN", "(2,)", "model=mlp", "data=digits"]),
    ("model=cnn model.channels=[4,4,4,4]", ["4 blocks", "8x8"]),
    ("model=lenet", ["LeNet's layers", "8x8", "data=mnist"]),
    ("model=alexnet data=spiral", ["AlexNet needs images", "(2,)", "model=mlp"]),
    ("model=alexnet model.channels=[4] data=mnist", ["channels is [4]", "five"]),
    ("model=alexnet dropout=0.2", ["dropout=0.2", "model.dropout=0.2"]),
    ("model=perceptron dropout=0.2", ["dropout=0.2", "no dropout", "model=mlp"]),
    ("model=perceptron", ["one unit tells two classes apart", "10 outputs", "model=mlp model.hidden=[]"]),
    ("model=parallel model.width=0", ["width is [0]", "from 1 up"]),
    ("model=shared model.depth=0", ["depth is [0]", "from 1 up"]),
    ("model=cnn model.pool=min", ["pool is 'min'", "max or avg"]),
    ("trainer.accelerator=banana", ["trainer.accelerator=banana", "auto, cpu"]),
    ("trainer.accelerator=tpu", ["trainer.accelerator=tpu", "auto, cpu"]),
    ("trainer.precision=7", ["trainer:", "7", "16-mixed"]),
    ("trainer.precision=16-mixed trainer.gradient_clip_val=1", ["optimizer.fused=false"]),
    ("early_stopping=on early_stopping.monitor=val/f1", ["val/f1", "train/loss, train/acc, val/loss, val/acc"]),
    ("early_stopping=on early_stopping.mode=up", ["early_stopping.mode=up", "minimum"]),
    ("scheduler=onecycle trainer.max_epochs=-1", ["scheduler:", "trainer.max_epochs"]),
    ("+optimizer.foo=1", ["optimizer:", "foo"]),
    ("benchmark=3", ["benchmark=3", "experiment=devices"]),
    ("experiment=devices benchmark.sizes=[0] data=digits", ["sizes: one is 0", "from 1 up"]),
    ("experiment=memory benchmark.depths=[2,4] data=digits", ["depths is [2, 4]", "three numbers"]),
    ("resume=nowhere", ["resume=nowhere", "no run folder"]),
]


@pytest.mark.parametrize(("overrides", "words"), WRONG, ids=[overrides for overrides, _ in WRONG])
def test_a_wrong_command_says_why_and_leaves_nothing(command, overrides, words):
    data = [] if "data=" in overrides or "resume=" in overrides else ["data=digits"]
    check_refused(command(*data, *overrides.split()), words)


def test_an_accelerator_that_is_not_there_names_what_is(command):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has a GPU")
    result = command("data=digits", "trainer.accelerator=gpu")
    assert result.code == 2
    assert "trainer.accelerator=gpu" in result.err
    assert "auto, cpu" in result.err


def test_a_full_trace_is_shown_on_request(command, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    result = command("data=digits", "model.hidden=[0]")
    assert result.code == 2
    assert "Traceback" in result.err


def test_an_unwritable_run_folder_is_a_failure_with_the_way_out(command):
    Path("outputs").write_text("a file where the folder should be")
    result = command("data=digits")
    assert result.code == 1
    assert "cannot write the run folder" in result.err
    assert "hydra.run.dir=DIR" in result.err
    assert "Traceback" not in result.err


def test_a_wrong_command_leaves_a_folder_with_other_files_alone(command):
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("keep")
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
    Path("conf/model/broken.yaml").write_text("a: [1")
    result = command("--config-dir", "conf", "data=digits", "model=broken")
    assert result.code == 2
    assert "broken.yaml" in result.err
    assert "Traceback" not in result.err


def test_a_data_set_of_the_users_joins_with_a_short_yaml_and_is_resumed(command):
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/mine.yaml").write_text("_target_: lit_dl.data.Digits\nbatch_size: 128\n")
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
    result = command("-m", "data=digits", "trainer.max_epochs=1", "dropout=1.5,0.5")
    assert result.code == 1
    assert "dropout=1.5" in result.err
    statuses = {path.parent.name[:1]: path.read_text() for path in Path("outputs").rglob("metrics.json")}
    assert '"failed"' in statuses["0"]
    assert '"completed"' in statuses["1"]


def test_a_launcher_that_is_not_installed_names_its_extra():
    text = "Could not find 'hydra/launcher/ray'\n\nAvailable options in 'hydra/launcher':\n\tbasic\n\tjoblib"
    assert "pip install -c constraints.txt -e '.[ray]'" in explain(MissingConfigException(text), [])


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["optimizer.lrr=1"], ["optimizer=admm"]])
def test_quick_answers_import_neither_torch_nor_lightning(arguments, tmp_path):
    program = (
        "import sys; from lit_dl.train import main; main(sys.argv[1:]); "
        "assert not {'torch', 'lightning', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "outputs").exists()


def test_help_lists_the_groups_with_their_choices_and_five_examples(command):
    out = command("--help").out
    assert "optimizer: adadelta, adagrad, adam, adamw, bgd, momentum, nadam, nesterov, rmsprop, sgd" in out
    assert "optimizer/scratch: adagrad, adam, momentum, rmsprop, sgd" in out
    assert "data: arrays, digits, fashion_mnist, kfold, kmnist, mnist, none, quickdraw, regression, spiral" in out
    assert out.count("python -m lit_dl.train ") >= 6  # the usage and five examples
