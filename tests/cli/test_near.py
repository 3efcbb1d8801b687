"""Each word of the table of synonyms stands for what there is."""

import pytest
from tests.runs import choices

from lit_dl.cli import catalogue
from lit_dl.cli.near import did_you_mean, number
from lit_dl.cli.synonyms import CHOICES, KEYS, NOT_HERE

WHERE = catalogue.folders()


def test_what_is_proposed_for_a_key_is_a_key():
    known = {*catalogue.groups(WHERE), *catalogue.settable([], WHERE), "hydra.run.dir", "data.folds"}
    known |= {*catalogue.settable(["data=digits"], WHERE)}
    for typed in set(KEYS.values()):
        for override in typed.partition(", the")[0].strip('"').split():
            assert override.partition("=")[0] in known, typed


def test_a_word_for_a_key_is_no_key_by_itself():
    assert not set(KEYS) & {key for key in catalogue.settable([], WHERE) if "." not in key}


def test_what_is_proposed_for_a_choice_is_a_choice():
    for group, names in CHOICES.items():
        assert set(names.values()) <= set(choices(group)), group


def test_what_is_said_not_to_be_here_is_not_here():
    for group, names in NOT_HERE.items():
        assert not names & set(choices(group))


NEAR = [
    ([], ""),
    (["a"], " Did you mean a?"),
    (["a", "b"], " Did you mean a or b?"),
    (list("abcd"), " Did you mean one of a, b, c, d?"),
]


@pytest.mark.parametrize(("names", "asked"), NEAR)
def test_what_is_near_is_asked_for(names, asked):
    assert did_you_mean(names) == asked


@pytest.mark.parametrize(("value", "is_one"), [(1, True), ("1e-3", True), (True, False), ("relu", False)])
def test_a_number_is_known_by_its_text_too(value, is_one):
    assert number(value) == is_one
