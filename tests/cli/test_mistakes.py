"""A beginner's mistakes are answered with what to type: in this process, up to the config that a command composes."""

import re
import shlex
from pathlib import Path

import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from tests.runs import CONF, config

from lit_dl.cli.hints import explain
from lit_dl.cli.mistakes import check_typed
from lit_dl.cli.typed import CONFIG_DIR, Typed
from lit_dl.cli.values import check_values
from lit_dl.errors import CommandError
from lit_dl.overrides import is_override

ROOT = Path(__file__).parents[2]
COMMAND = r"python -m lit_dl\.train ([^`|#\n]*)"


def answer(*arguments: str) -> str:
    """What the command says of its arguments before anything is trained; nothing if they are right."""
    try:
        check_typed(arguments)
        folders = [f"hydra.searchpath=['file://{folder}']" for folder in Typed.read(arguments).values(CONFIG_DIR)]
        check_values(config(*folders, *filter(is_override, arguments)))
    except (HydraException, OmegaConfBaseException) as error:
        return explain(error, arguments)
    except (CommandError, ValueError) as error:
        return str(error)
    return ""


# Each as it is typed in bash, and what the answer says.
MISTAKES = [
    # keys under other names, or without their group
    ("lr=0.1", "Did you mean optimizer.lr=0.1?"),
    ("epochs=5", "Did you mean trainer.max_epochs=5?"),
    ("max_epochs=5", "Did you mean trainer.max_epochs=5?"),
    ("trainer.epochs=5", "Did you mean trainer.max_epochs=5?"),
    ("batch_size=3", "Did you mean data.batch_size=3?"),
    ("hidden=[64]", 'Did you mean "model.hidden=[64]"?'),
    ("weight_decay=0.1", "Did you mean optimizer.weight_decay=0.1?"),
    ("learning_rate=.01", "Did you mean optimizer.lr=.01?"),
    ("optimizer.learning-rate=.01", "Did you mean optimizer.lr=.01?"),
    ("gpu=true", "Did you mean trainer.accelerator=gpu?"),
    ("gpu=false", "Did you mean trainer.accelerator=cpu?"),
    ("device=cuda", "Did you mean trainer.accelerator=cuda?"),
    ("device=cuda:0", "Did you mean trainer.accelerator=cuda?"),
    ("trainer=gpu", "Did you mean trainer.accelerator=gpu?"),
    ("model.layers=3", 'Did you mean "model.hidden=[100,50]", the widths of the hidden layers?'),
    ("adam.lr=0.1", "Did you mean optimizer=adam optimizer.lr=0.1?"),
    ("+lr=0.1", "+lr=0.1: nothing reads this key. Did you mean optimizer.lr=0.1?"),
    # slips of the finger
    ("optimiser=adam", "optimiser: no such key or group. Did you mean optimizer=adam?"),
    ("optimizer.lrr=0.1", "Did you mean optimizer.lr=0.1?"),
    ("trainer.max_epoch=3", "Did you mean trainer.max_epochs=3 or"),
    ("optimizer.layer_lr_decy=0.8", "Did you mean optimizer.layer_lr_decay=0.8?"),
    ("data.batchsize=3", "Did you mean data.batch_size=3?"),
    ("data=kfold data.base.shfit=1", "Did you mean data.base.shift=1?"),
    ("Seed=3", "Did you mean seed=3?"),
    ("foo.bar=3", "foo.bar: no such key or group.\nAll of them: python -m lit_dl.train --help"),
    # choices in another case, under another name, in part, of another group
    ("model=CNN", "Did you mean cnn?"),
    ("activation=ReLU", "Did you mean relu?"),
    ("activation=LeakyReLU", "Did you mean leaky_relu?"),
    ("optimizer=Adam", "Did you mean adam?"),
    ("data=digit", "Did you mean digits?"),
    ("loss=crossentropy", "Did you mean cross_entropy?"),
    ("init=kaiming", "Did you mean he?"),
    ("init=glorot", "Did you mean xavier?"),
    ("scheduler=reduce_on_plateau", "Did you mean plateau?"),
    ("scheduler=ReduceLROnPlateau", "Did you mean plateau?"),
    ("model=adam", "Did you mean optimizer=adam?"),
    ("data=cifar10", "It does not come with lit_dl; data=arrays takes images or numbers of your own."),
    ("optimizer=scratch/admm", "Did you mean scratch/adam?"),
    ("optimizer/scratch=adam", "A choice in a folder is typed optimizer=scratch/NAME."),
    ("experiment=vanishing", "Did you mean vanishing_gradients or vanishing_gradients_cured?\nAll of them"),
    ("experiment=mnst_mlp", "Did you mean mnist_mlp?"),
    # keys that another choice has
    (
        "optimizer.momentum=0.9",
        "optimizer=adam has no momentum; optimizer=momentum, nesterov, rmsprop, scratch/momentum have.",
    ),
    ("momentum=0.9", "There is optimizer.momentum (with optimizer=momentum or optimizer=nesterov or"),
    ("patience=3", "There is scheduler.patience (with scheduler=plateau), early_stopping.patience (with early_"),
    ("model.kernel_size=3", "model=mlp has no kernel_size; model=cnn has."),
    ("model=lenet model.norm=batch", "model=lenet has no norm; model=mlp, two_layer have."),
    ("scheduler.step_size=3", "scheduler=none has no step_size; scheduler=step has."),
    ("early_stopping.patience=3", "early_stopping=off has no patience; early_stopping=on has."),
    ("experiment=saddle data.noise=1", "data=none has no noise; data=regression, spiral have."),
    # groups that are given no name
    ("early_stopping=true", "Did you mean early_stopping=on? It can be off, on"),
    ("early_stopping=null", "Did you mean early_stopping=off?"),
    ("diagnostics=false", "Did you mean diagnostics=off?"),
    ("scheduler=1", "a group takes the name of a choice. It can be cosine, exponential, none,"),
    ("scheduler=", "a group takes the name of a choice."),
    ("data=[digits,spiral]", "a group takes the name of a choice."),
    ("~logger", "~logger: a group takes the name of a choice. It can be off, tensorboard"),
    # flags
    ("--epochs 5", "--epochs 5: keys are typed without dashes. Did you mean trainer.max_epochs=5?"),
    ("--lr 0.1", "Did you mean optimizer.lr=0.1?"),
    ("-lr 0.1", "Did you mean optimizer.lr=0.1?"),
    ("--learning-rate=0.1", "Did you mean optimizer.lr=0.1?"),
    ("--data digits", "--data digits: keys are typed without dashes: data=digits"),
    ("--seed=3", "keys are typed without dashes: seed=3"),
    ("--hel", "--hel: no such flag. Did you mean --help?"),
    ("--multi-run seed=1,2", "Did you mean --multirun?"),
    ("-e 5", "-e 5: keys are typed without dashes. An example: trainer.max_epochs=5."),
    ("-m", "-m: there is nothing to run. Name what is to vary"),
    ("-m=2", "-m=2: -m takes no value"),
    ("x" * 5000, "it is no setting."),
    ("--", "--: nothing follows it"),
    ("--config-dir", "--config-dir: a value is missing. It takes a folder"),
    ("--config-dir data=digits", "--config-dir data=digits: there is no such folder"),
    ("--cfg", "--cfg: a value is missing. It takes job"),
    ("--cfg jib", "--cfg jib: it takes job (the composed config), hydra or all"),
    # words without =
    ("digits", "digits: type data=digits"),
    ("cnn", "cnn: type model=cnn"),
    ("regression", "regression: type data=regression or experiment=regression"),
    ("optimizer", "optimizer: type optimizer=CHOICE."),
    ("seed", "seed: type seed=VALUE"),
    ("optimizer.lr:0.1", "type optimizer.lr=0.1"),
    ("help", "help: type --help"),
    ("please", "please: it is no setting."),
    ("data = digits", "data = digits: type it without spaces: data=digits"),
    ("data= digits", "data= digits: type it without spaces: data=digits"),
    ("data =digits", "data =digits: type it without spaces: data=digits"),
    ("model.hidden = [64, 64]", 'model.hidden = [64, 64]: type it without spaces: "model.hidden=[64, 64]"'),
    ("model.hidden= [64, 64] seed=1", 'type it without spaces: "model.hidden=[64, 64]"'),
    ("=3", "=3: a group or a key is missing."),
    # quotes and brackets
    ("model.hidden=[100, 50]", 'model.hidden=[100, 50]: put it in quotes: "model.hidden=[100, 50]"'),
    ("model.hidden=[100, 50, 20] seed=1", 'put it in quotes: "model.hidden=[100, 50, 20]"'),
    ("'model.hidden=[100, 50]'", 'put it in quotes: "model.hidden=[100, 50]"'),  # of a shell without single quotes
    ("'model.hidden=[64,64]'", 'quotes are double ones in this shell: "model.hidden=[64,64]"'),
    ("model.hidden=[100, 50", "model.hidden=[100, 50: a bracket is missing"),
    ("model.hidden=[100,50", "model.hidden=[100,50: a bracket is missing"),
    ("data=arrays data.path='my.npz", "data.path='my.npz: a quote is missing"),
    ("hydra.run.dir=my folder", 'A value with a space is put in quotes: "hydra.run.dir=my folder"'),
    ("model.hidden={64}", 'a list has square brackets: "model.hidden=[64]"'),
    ("model.hidden=100,50", 'a list has brackets: "model.hidden=[100,50]"'),
    ("optimizer.lr==0.1", "one = is enough: optimizer.lr=0.1"),
    ("optimizer.l+r=0.1", "optimizer.l+r=0.1: no key or group has such characters."),
    ("optimizer.betas={a:1}", 'Take one of the kind that it has, such as "optimizer.betas=[0.9,0.999]"'),
    ("optimizer.lr=0.1;", "optimizer.lr=0.1;: not understood"),
    # several values
    ("optimizer.lr=0,1", "a decimal number has a point: optimizer.lr=0.1\nTo run each of the values, add -m:"),
    ("optimizer=sgd,adam", "add -m: python -m lit_dl.train -m optimizer=sgd,adam"),
    ("-m seed=1-3", 'seed=1-3: several values are typed seed=1,2,3 or "seed=range(1,4)"'),
    ("-m seed=0..99", 'several values are typed seed=0,99 or "seed=range(0,100)"'),
    # values out of range
    ("dropout=50", "dropout=50: it must be a number from 0 to 1"),
    ("seed=abc", "seed=abc: it must be a whole number"),
    ("animate=yes", "animate=yes: it must be true or false"),
]


@pytest.mark.parametrize(("typed", "said"), MISTAKES, ids=[typed[:40] for typed, _ in MISTAKES])
def test_a_mistake_is_answered_with_what_to_type(typed, said):
    message = answer(*typed.split())
    assert said in message
    assert len(message.splitlines()) <= 2
    assert "hydra.cc" not in message


RIGHT = [
    "",
    "data=digits",
    "-m data=digits optimizer=sgd,adam seed=1,2,3",
    "-m optimizer=choice(sgd,adam)",
    "experiment=null",
    "~optimizer.fused",
    "optimizer.lr=1e-3",
    "+width=64 model.hidden=[${width}]",
    "+trainer.barebones=false",
    "data.path=1-3 data=arrays",
    "--cfg job --resolve -p trainer",
    "-- data=digits",
    "--info plugins",
]


@pytest.mark.parametrize("typed", RIGHT)
def test_what_is_right_passes(typed):
    check_typed(typed.split())


def test_no_command_of_the_pages_and_the_experiments_is_refused():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *CONF.rglob("*.yaml")]
    found = [line for page in pages for line in re.findall(COMMAND, page.read_text(encoding="utf-8"))]
    commands = [line for line in found if "..." not in line]
    assert len(commands) > 100
    for line in commands:
        check_typed(shlex.split(line))


def test_choices_and_keys_of_the_users_own_folder_are_known(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: lit_dl.models.MLP\ndepths: 7\n")
    own = ("--config-dir", str(tmp_path))
    assert "mine: type model=mine" in answer(*own, "mine")
    assert "Did you mean mine?" in answer(*own, "model=Mine")
    assert "Did you mean model.depths=3?" in answer(*own, "model=mine", "model.deths=3")
    assert "model=mlp has no depths; model=mine has." in answer(*own, "model.depths=3")


def test_a_folder_that_is_typed_alone_is_to_be_resumed_or_reported(tmp_path):
    assert f"type resume={tmp_path}; to compare runs, python -m lit_dl.report {tmp_path}" in answer(str(tmp_path))


def test_a_folder_of_configs_with_an_equals_sign_in_its_name_is_not_taken_for_an_override(tmp_path):
    folder = tmp_path / "a=b"
    folder.mkdir()
    assert f"is typed --config-dir={folder}" in answer("--config-dir", str(folder), "data=digits")
    check_typed([f"--config-dir={folder}", "data=digits"])
