"""What is read from the config files agrees with what Hydra composes from them."""

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from tests.runs import CONF

from lit_dl.cli import catalogue

LONGEST = 115  # of the line that --help has for a choice: two lines of a terminal
WHERE = catalogue.folders()
CHOICES = [
    choice for group in [*catalogue.groups(WHERE), "hydra/sweeper"] for choice in catalogue.choices(group, WHERE)
]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer=bgd", "scheduler=step"],
        ["diagnostics=full", "early_stopping=on"],
        ["data=kfold", "optimizer=scratch/adam"],
        ["experiment=dead_relu_cured"],
        ["experiment=exploding_gradients_clipped", "model=cnn"],
    ],
    ids=" ".join,
)
def test_the_choices_and_keys_of_a_command_are_those_that_hydra_composes(overrides):
    with initialize_config_module("lit_dl.conf", version_base="1.3"):
        cfg = compose("train", overrides, return_hydra_config=True)
    chosen = catalogue.chosen(overrides, WHERE)
    for group, choice in cfg.hydra.runtime.choices.items():
        if group in catalogue.groups(WHERE) and choice is not None:
            assert chosen[group] == [choice]
    container = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(container, dict)
    container.pop("hydra")
    groups = set(catalogue.groups(WHERE))  # one that has no object is null in the config
    composed = {key for key, _ in catalogue.dotted(container)}
    assert set(catalogue.settable(overrides, WHERE)) - groups == composed - groups


def test_of_a_sweep_over_a_group_all_choices_are_taken():
    assert catalogue.chosen(["-m", "optimizer=sgd,adam"], WHERE)["optimizer"] == ["sgd", "adam"]


def test_the_keys_of_the_root_have_their_defaults_and_comments():
    keys = {key.name: key for key in catalogue.root_keys()}
    root = OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml"), resolve=False)
    assert isinstance(root, dict)
    assert set(keys) == {key for key, _ in catalogue.dotted(root)}
    assert keys["dropout"].value == "0.0"
    assert keys["dropout"].comment == "probability of dropping a unit, 0 to 1"
    assert all(key.comment for key in keys.values())


@pytest.mark.parametrize("choice", CHOICES, ids=[f"{choice.group}={choice.name}" for choice in CHOICES])
def test_every_choice_says_in_a_line_what_it_is(choice):
    assert 10 < len(choice.summary) <= LONGEST


def test_a_sentence_ends_at_its_full_stop_and_not_within_et_al(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("# @package _global_\n# He et al. (2015): normal.\n#   a command. With more.\n# Then more.\na: 1\n")
    assert catalogue.Choice("init", "x", path).summary == "He et al. (2015): normal"


def test_of_two_folders_the_first_that_has_a_choice_wins(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("mlp", "mine"):
        (tmp_path / "model" / f"{name}.yaml").write_text("# Of the user.\n")
    found = {choice.name: choice.summary for choice in catalogue.choices("model", catalogue.folders([str(tmp_path)]))}
    assert found["mine"] == "Of the user"
    assert found["mlp"] != "Of the user"


@pytest.mark.parametrize(
    "text", ["a: [1", "just words", "", "defaults: 3", "- 1", "defaults: [x, {override /data: 1}]", "\xff"]
)
def test_yaml_that_is_none_or_goes_in_a_circle_has_no_keys(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("latin-1"))
    choice = catalogue.Choice("model", "x", path)
    assert catalogue.keys_of(choice, [choice]) == {}
    assert choice.nested == {}


def test_an_experiment_that_comes_from_itself_ends(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "circle.yaml").write_text(
        "# @package _global_\ndefaults: [circle, {override /data: digits}]\n"
    )
    where = catalogue.folders([str(tmp_path)])
    assert catalogue.chosen(["experiment=circle"], where)["data"] == ["digits"]


def test_a_file_that_cannot_be_read_is_a_choice_without_keys(tmp_path):
    choice = catalogue.Choice("model", "gone", tmp_path / "gone.yaml")
    assert (choice.head, choice.summary, choice.content) == ([], "", {})


@pytest.mark.parametrize(
    ("value", "typed"), [([64, [1.5]], "[64,[1.5]]"), (True, "true"), (None, "null"), ("max", "max"), (1e-8, "1e-08")]
)
def test_a_value_is_shown_as_an_override_has_it(value, typed):
    assert catalogue.as_typed(value) == typed
