"""What is missing in a config, is something else than it must be, or leads nowhere."""

import pytest
from omegaconf import OmegaConf
from tests.runs import config

from lit_dl.cli.shape import check_choices, check_shape
from lit_dl.errors import CommandError


@pytest.fixture(scope="module")
def whole():
    """A config as plain Python, with its interpolations as they are written."""
    return OmegaConf.to_container(config("data=digits", "early_stopping=on"), resolve=False)


CHANGED = [
    ("seed", "${nothing}", ["seed=${nothing}", "'nothing' not found"]),
    ("seed", "${seed}", ["seed=${seed}"]),
    ("l1", "${oc.env:NOT_SET}", ["l1=${oc.env:NOT_SET}", "'NOT_SET' not found"]),
    ("model.hidden", [8, "${seeed}"], ["model.hidden[1]=${seeed}", "'seeed' not found"]),
    ("sweep", 3, ["sweep=3", "mapping"]),
    ("optimizer", [1], ["optimizer=[1]", "conf/optimizer"]),
    ("optimizer", None, ["optimizer=None", "mapping"]),
]


@pytest.mark.parametrize(("key", "value", "words"), CHANGED, ids=[f"{key}={value}" for key, value, _ in CHANGED])
def test_what_leads_nowhere_or_is_something_else_is_named(whole, key, value, words):
    cfg = OmegaConf.create(whole)
    OmegaConf.update(cfg, key, value, merge=False)
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the words are below
        check_shape(cfg)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize("key", ["seed", "resume", "model", "sweep", "logger"])
def test_a_key_of_the_root_is_missed(whole, key):
    with pytest.raises(ValueError, match=f"^{key} is missing: a run needs it. Leave out ~{key}, or give it a value"):
        check_shape(OmegaConf.create({name: value for name, value in whole.items() if name != key}))


@pytest.mark.parametrize(
    "name", ["trainer.max_epochs", "sweep.metric", "early_stopping.mode", "diagnostics.on_divergence"]
)
def test_a_key_that_a_run_reads_is_missed(whole, name):
    group, _, key = name.partition(".")
    rest = {each: value for each, value in whole[group].items() if each != key}
    with pytest.raises(ValueError, match=f"^{name} is missing"):
        check_shape(OmegaConf.create({**whole, group: rest}))


def test_groups_may_be_off_and_values_may_name_other_keys(whole):
    off = dict.fromkeys(("init", "scheduler", "early_stopping", "diagnostics", "logger"))
    check_shape(OmegaConf.create({**whole, **off, "l1": "${dropout}", "mine": {"own": "${seed}"}}))


@pytest.mark.parametrize("text", ["data=[digits,spiral]", "optimizer={a:1}", "data=3", "scheduler=true", "model=''"])
def test_a_group_takes_one_name(text):
    with pytest.raises(CommandError, match=r"a group takes the name of one choice\. It can be"):
        check_choices([text])


def test_choices_by_name_and_other_keys_are_left_alone():
    check_choices(["data=digits", "data@data.base=spiral", "optimizer=sgd,adam", "data.batch_size=3", "~logger", "-m"])
