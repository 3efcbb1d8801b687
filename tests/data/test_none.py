"""A training without samples."""

import pytest

from lit_dl.data import NoData
from lit_dl.data.base import InMemoryData
from lit_dl.data.module import DataModule


def test_an_epoch_has_so_many_steps_and_no_samples():
    data = NoData(steps=7)
    assert len(data.train_dataloader()) == 7
    assert data.sizes() == {}


def test_it_tells_of_itself_what_data_with_samples_tells():
    assert issubclass(NoData, DataModule)
    assert issubclass(InMemoryData, DataModule)
    data = NoData()
    data.setup()
    assert (data.name, data.in_shape, data.out_features, data.class_names) == ("none", (), 0, [])
    assert (data.batch_size, data.normalize, data.sha256) == ("full", False, "")
    assert data.evaluation_dataloaders() == []


@pytest.mark.parametrize(("argument", "message"), [({"steps": 0}, "steps is 0"), ({"batch_size": 8}, "leave it out")])
def test_arguments_out_of_range_are_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        NoData(**argument)
