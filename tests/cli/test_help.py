"""The help is read from the config files, whole or of one group or choice, without Hydra."""

import pytest
import yaml
from tests.runs import CONF, choices

from lit_dl.cli.help import COMMAND, EXAMPLES, answer
from lit_dl.errors import CommandError


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def helped(*arguments: str) -> str:
    text = answer(arguments)
    assert text is not None
    return " ".join(text.split())


def test_a_command_that_asks_for_nothing_is_not_answered():
    assert answer(["data=digits", "-m", "seed=1,2"]) is None


@pytest.mark.parametrize("group", sorted({path.parent.name for path in CONF.glob("*/*.yaml")} - {"experiment"}))
def test_the_help_lists_every_group_with_its_choices(group):
    default = next((e[group] for e in yaml.safe_load((CONF / "train.yaml").read_text())["defaults"] if group in e), "")
    listed = [f"{name}*" if name == default else name for name in choices(group)]
    assert f"{group} {', '.join(listed)}" in helped("--help")


def test_the_help_counts_the_experiments_and_does_not_list_them():
    text = helped("--help")
    assert f"experiment {len(choices('experiment'))} ready settings" in text
    assert "learning_rate_too_low" not in text


@pytest.mark.parametrize("key", ["seed=0", "animate=false", "resume=null", "sweep.metric=val/acc", "sweep.resume=null"])
def test_the_help_lists_the_keys_that_belong_to_no_choice(key):
    assert key in helped("--help")


def test_the_help_shows_the_usage_and_five_examples():
    assert helped("--help").count(f"{COMMAND} ") == 1 + len(EXAMPLES) == 6


def test_help_on_a_group_shows_each_choice_with_what_it_is_and_its_keys():
    text = helped("--help", "optimizer")
    assert "(Kingma and Ba 2015) lr=0.001 betas=[0.9,0.999] eps=1e-08 weight_decay=0.0" in text
    assert "scratch/sgd Plain gradient descent, in a few lines" in text
    assert "data.batch_size=full" in text  # which optimizer=bgd sets
    assert helped("--help=optimizer") == text == helped("optimizer", "-h")


def test_help_on_a_choice_shows_what_each_key_means():
    text = helped("--help", "data=digits")
    assert "1,797 scans" in text
    assert "data.batch_size=64 a number, or full" in text
    assert "on the training part" not in text  # of MNIST


def test_help_on_a_choice_has_the_keys_that_it_takes_over():
    text = helped("--help", "diagnostics=full")
    assert "diagnostics.histograms=true" in text
    assert "diagnostics.on_divergence=stop" in text


def test_help_on_an_experiment_shows_what_it_stands_for():
    text = helped("--help", "experiment=dead_relu_cured")
    assert "It stands for experiment=dead_relu activation=leaky_relu" in text
    assert "Expect: no dead units." in text


def test_help_on_a_sweep_shows_what_it_varies():
    text = helped("--help", "experiment=optimizers")
    assert "-m data=digits model=mlp activation=relu trainer.max_epochs=20 optimizer=bgd,sgd" in text
    assert text.endswith("seed=1,2,3")


def test_help_on_a_choice_by_its_name_alone_shows_it_in_each_group_that_has_it():
    text = helped("--help", "regression")
    assert text.startswith("data=regression Random inputs")
    assert "experiment=regression A two-layer net" in text


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("trainer.max_epochs=5", "trainer.max_epochs=10"), ("sweep", "sweep.accuracy=0.9"), ("seed", "seed=0")],
)
def test_help_on_a_key_shows_those_beside_it(asked, shown):
    assert shown in helped("--help", asked)


def test_help_on_several_shows_each():
    text = helped("--help", "model=cnn", "loss", "optimizer=sgd,adam")
    assert "optimizer=sgd Plain gradient descent" in text
    assert "optimizer=adam Running means" in text
    assert "model.kernel_size=5" in text
    assert "cross_entropy" in text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("optimiser", ["--help optimiser", "Did you mean optimizer?", "scheduler"]),
        ("learning_rate", ["Did you mean optimizer.lr?"]),
        ("model=cnnn", ["--help model=cnnn", "Did you mean cnn?", "--help model"]),
        ("experiment=vanishing", ["Did you mean vanishing_gradients or vanishing_gradients_cured?"]),
    ],
)
def test_help_on_what_is_not_there_names_what_is(asked, words):
    with pytest.raises(CommandError) as raised:
        answer(["--help", asked])
    for word in words:
        assert word in str(raised.value)


def test_help_has_the_choices_of_the_users_own_folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# My own net. It is deep.\n_target_: mine.Net\nwidth: 7\n")
    for flag in (["--config-dir", str(tmp_path)], [f"--config-dir={tmp_path}"]):
        assert "mine" in helped(*flag, "--help")
        assert "mine My own net width=7" in helped("--help", "model", *flag)
