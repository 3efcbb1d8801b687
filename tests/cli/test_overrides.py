"""Overrides are read as Hydra reads them: against Hydra's own parser."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from lit_dl.overrides import Override, config_flags, is_override, last_value, read_all, without

TYPED = [
    "a=1",
    "+a.b=c",
    "++a=x",
    "data@data.base=digits",
    "optimizer=scratch/adam",
    "a=[1,2]",
    "a='b c'",
    "a=",
    "~a=1",
]


@pytest.mark.parametrize("text", TYPED)
def test_key_and_value_are_those_that_hydra_s_parser_finds(text):
    theirs = OverridesParser.create().parse_override(text)
    ours = Override.read(text)
    assert (ours.key, ours.text) == (theirs.get_key_element().lstrip("+~"), text)
    assert ours.group == theirs.key_or_group
    assert ours.value == (theirs.get_value_element_as_str() or "").strip("'\"")


def test_a_folder_with_an_equals_sign_in_it_is_a_value():
    assert Override.read("resume=outputs/multirun/now/0_optimizer=sgd").value == "outputs/multirun/now/0_optimizer=sgd"


def test_a_group_replaces_its_keys_and_no_key_that_begins_alike():
    new = Override.read("optimizer=sgd")
    replaced = [old.text for old in read_all(["optimizer=adam", "optimizer.lr=1", "optimizers=2"]) if new.replaces(old)]
    assert replaced == ["optimizer=adam", "optimizer.lr=1"]


def test_the_last_last_value_a_key_counts():
    assert last_value("seed", ["-m", "seed=1", "l1=0", "seed=2"]) == "2"
    assert last_value("seed", ["seeds=1"]) is None
    assert without("seed", ["seed=1", "+seed=2", "seed.x=3"]) == ["seed.x=3"]


def test_flags_are_told_from_overrides():
    typed = ["--config-dir=conf", "-m", "seed=1", "~model", "hydra.searchpath=[x]"]
    assert [word for word in typed if is_override(word)] == ["seed=1", "~model", "hydra.searchpath=[x]"]
    assert config_flags(typed) == ["--config-dir=conf", "hydra.searchpath=[x]"]
