"""Keys of the trainer that Lightning takes, and fails on later or waits on for ever."""

import pytest
from omegaconf import OmegaConf
from tests.runs import CONF

from lit_dl.cli.trainer_values import check_trainer

DEFAULT = OmegaConf.load(CONF / "trainer" / "default.yaml")
WRONG = [
    ({"max_time": 1}, ["trainer.max_time=1", "days:hours:minutes:seconds", "or null"]),
    ({"max_time": "1:00"}, ["trainer.max_time=1:00", "'00:00:10:00'"]),
    ({"max_time": "9" * 30 + ":00:00:00"}, ["trainer.max_time=999", "'00:00:10:00'"]),
    ({"max_time": {"day": 1}}, ["trainer.max_time={'day': 1}", "'00:00:10:00'"]),
    ({"val_check_interval": 0}, ["trainer.val_check_interval=0", "from 1 up", "above 0"]),
    ({"val_check_interval": 1.5}, ["trainer.val_check_interval=1.5", "such as 0.5"]),
    ({"val_check_interval": "soon"}, ["trainer.val_check_interval=soon", "'00:00:10:00'"]),
    ({"limit_test_batches": -1}, ["trainer.limit_test_batches=-1", "a share of them"]),
    ({"limit_train_batches": 0.0}, ["trainer.limit_train_batches=0", "nothing would be trained"]),
    ({"fast_dev_run": "abc"}, ["trainer.fast_dev_run=abc", "true or false"]),
    ({"min_epochs": 20}, ["trainer.min_epochs=20", "trainer.max_epochs=10"]),
    ({"min_steps": -1}, ["trainer.min_steps=-1", "from 0 up"]),
    ({"num_nodes": 2}, ["trainer.num_nodes=2", "for ever", "torchrun", "trainer.num_nodes=1"]),
    ({"overfit_batches": 1}, ["trainer.overfit_batches=1", "data.train_size=N"]),
    ({"callbacks": []}, ["trainer.callbacks=[]", "lit_dl"]),
]
RIGHT = [
    {"max_time": "00:00:10:00"}, {"max_time": {"minutes": 1}}, {"val_check_interval": 0.5}, {"val_check_interval": 5},
    {"val_check_interval": "00:00:00:10"}, {"limit_val_batches": 0}, {"limit_train_batches": 1.0}, {"fast_dev_run": 2},
    {"fast_dev_run": True}, {"min_epochs": 10}, {"max_epochs": -1, "min_epochs": 9}, {"num_nodes": 1}, {},
]  # fmt: skip
STARTED = [{"TORCHELASTIC_RUN_ID": "1"}, {"SLURM_NTASKS": "2"}, {"MASTER_ADDR": "10.0.0.1", "NODE_RANK": "1"}]


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values) for values, _ in WRONG])
def test_a_value_is_refused_with_what_it_can_be(values, words):
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the words are below
        check_trainer(OmegaConf.merge(DEFAULT, values))
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize("values", RIGHT, ids=str)
def test_what_is_right_is_taken(values):
    check_trainer(OmegaConf.merge(DEFAULT, values))


@pytest.mark.parametrize("variables", STARTED, ids=[" ".join(each) for each in STARTED])
def test_several_nodes_are_for_a_command_that_was_started_on_each(variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check_trainer(OmegaConf.merge(DEFAULT, {"num_nodes": 2}))
