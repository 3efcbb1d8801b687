"""A command is taken apart as Hydra does it."""

import argparse

import pytest
from hydra._internal.utils import get_args_parser

from lit_dl.cli.typed import ALONE, CONFIG_DIR, HELP, WITH_A_VALUE_OR_NONE, WITH_VALUE, Typed


def test_the_flags_are_those_of_hydra():
    """Hydra's own parser is the independent list; it is private, and its change should be seen here."""
    actions = [action for action in get_args_parser()._actions if action.option_strings]
    alone = {flag for action in actions for flag in action.option_strings if action.nargs == 0}
    optional = {flag for action in actions for flag in action.option_strings if action.nargs == "?"}
    valued = {flag for action in actions for flag in action.option_strings if action.nargs is None}
    assert alone | {"--"} == ALONE
    assert optional == WITH_A_VALUE_OR_NONE
    assert valued == WITH_VALUE
    assert all(isinstance(action, argparse.Action) for action in actions)


@pytest.mark.parametrize(
    ("arguments", "words", "flags"),
    [
        ("data=digits -m seed=1,2", ["data=digits", "seed=1,2"], [("-m", None)]),
        ("--config-dir mine data=a", ["data=a"], [("--config-dir", "mine")]),
        ("--config-dir=mine --help", [], [("--config-dir", "mine"), ("--help", None)]),
        ("--help optimizer", ["optimizer"], [("--help", None)]),
        ("--help=optimizer", [], [("--help", "optimizer")]),
        ("--config-dir -m", [], [("--config-dir", None), ("-m", None)]),
        ("--info data=a", ["data=a"], [("--info", None)]),
        ("--info plugins", [], [("--info", "plugins")]),
        ("~a -- b=1", ["~a", "b=1"], [("--", None)]),
    ],
)
def test_flags_have_their_values_and_the_rest_is_words(arguments, words, flags):
    typed = Typed.read(arguments.split())
    assert typed.words == words
    assert typed.flags == flags


def test_a_flag_is_found_under_each_of_its_names():
    typed = Typed.read(["-cd", "mine", "--help"])
    assert typed.values(CONFIG_DIR) == ["mine"]
    assert typed.has(HELP)
