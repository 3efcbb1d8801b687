"""What Hydra found wrong with a command is said with the way out."""

import pytest
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException
from tests.runs import config

from lit_dl.cli.hints import check_groups, explain, groups_set_to_null
from lit_dl.errors import CommandError

WRONG = [
    ("optimizer=scratch/admm", ["optimizer=scratch/admm", "Did you mean scratch/adam"]),
    ("optimizer/scratch=adam", ["optimizer/scratch", "typed optimizer=scratch/NAME"]),
    ("optimizer.layer_lr_decy=0.8", ["optimizer.layer_lr_decy", "Did you mean optimizer.layer_lr_decay"]),
    ("experiment=mnst_mlp", ["Did you mean mnist_mlp"]),
    ("experiment=vanishing", ["Did you mean vanishing_gradients or vanishing_gradients_cured"]),
    ("optimiser=adam", ["optimiser", "Did you mean optimizer"]),
    ("trainer.max_epoch=3", ["trainer.max_epoch", "trainer.max_epochs"]),
    ("lr=0.1", ["lr", "optimizer.lr"]),
    ("benchmark=3", ["benchmark: no such key or group"]),  # the key of 0.1.0
]


@pytest.mark.parametrize(("overrides", "words"), WRONG, ids=[overrides for overrides, _ in WRONG])
def test_a_wrong_key_or_choice_is_answered_with_the_right_ones(overrides, words):
    arguments = ["data=digits", *overrides.split()]
    with pytest.raises((HydraException, OmegaConfBaseException)) as raised:
        config(*arguments)
    message = explain(raised.value, arguments)
    for word in words:
        assert word in message
    assert len(message.splitlines()) <= 3


def test_a_launcher_that_is_not_installed_names_its_extra():
    text = "Could not find 'hydra/launcher/ray'\n\nAvailable options in 'hydra/launcher':\n\tbasic\n\tjoblib"
    assert 'pip install -c constraints.txt -e ".[ray]"' in explain(MissingConfigException(text), [])


def test_only_a_group_that_is_given_null_is_answered_with_its_choices():
    typed = ["-m", "early_stopping=null", "data@data.base=null", "optimizer.lr=null", "resume=null", "scheduler=none"]
    stopping, data = groups_set_to_null(typed)
    assert stopping == "early_stopping=null: a group takes the name of a choice. It can be off, on"
    assert data.startswith("data@data.base=null: a group takes the name of a choice. It can be arrays, ")


def test_a_group_cannot_be_left_out_and_a_key_can():
    with pytest.raises(CommandError, match=r"~logger: a group takes the name of a choice\. It can be off, tensorboard"):
        check_groups(["data=digits", "~logger"])
    check_groups(["-m", "~optimizer.fused", "logger=off"])
