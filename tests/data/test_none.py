import pytest

from lit_dl.data import NoData


def test_an_epoch_has_so_many_steps_and_no_samples():
    data = NoData(steps=7)
    assert len(data.train_dataloader()) == 7
    assert data.sizes() == {}


@pytest.mark.parametrize(("argument", "message"), [({"steps": 0}, "steps is 0"), ({"batch_size": 8}, "leave it out")])
def test_arguments_out_of_range_are_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        NoData(**argument)
