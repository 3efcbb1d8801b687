"""Kinds of values against the annotations of classes that do not check by themselves."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.tensorboard import SummaryWriter

from lit_dl.callbacks.gradient_monitor import GradientMonitor
from lit_dl.data import Digits
from lit_dl.run.arguments import check_arguments

WRONG = [
    (torch.optim.SGD, {"nesterov": 3}, "nesterov is 3; it must be true or false"),
    (torch.optim.SGD, {"momentum": float("nan")}, "momentum is nan; it must be a number"),
    (torch.optim.SGD, {"momentum": True}, "momentum is True; it must be a number"),
    (torch.optim.Adam, {"betas": [0.9]}, r"betas is \[0.9\]; it must be a list of 2 values, each a number"),
    (torch.optim.Adam, {"betas": 0.9}, "betas is 0.9; it must be a list of 2 values"),
    (torch.optim.Adam, {"fused": "yes"}, "fused is 'yes'; it must be true or false or null"),
    (torch.optim.Adam, {"eps": 10**20}, "eps is 100000000000000000000; it must be a number"),
    (torch.optim.Adam, {"foo": 1}, "foo is 1, but Adam takes no such argument; it takes params, lr, betas"),
    (torch.nn.init.kaiming_normal_, {"nonlinearity": "reluu"}, "nonlinearity is 'reluu'; it must be .*relu"),
    (torch.nn.ELU, {"alpha": "abc"}, "alpha is 'abc'; it must be a number"),
    (torch.optim.lr_scheduler.OneCycleLR, {"max_lr": {}}, "max_lr is {}; it must be a number or a list of values"),
    (Trainer, {"precision": 7}, "precision is 7; it must be .*16-mixed.* or null"),
    (Trainer, {"max_epochs": 1.0}, "max_epochs is 1.0; it must be a whole number or null"),
    (Trainer, {"max_time": {"days": "x"}}, "max_time is .*; it must be text, a mapping .* or null"),
    (Trainer, {"profiler": True}, "profiler is True; it must be text or null"),
    (SummaryWriter, {"foo": 1}, "foo is 1, but SummaryWriter takes no such argument; it takes .*flush_secs"),
    (SummaryWriter, {"max_queue": "abc"}, "max_queue is 'abc'; it must be a whole number"),
    (GradientMonitor, {"every_step": 3}, "every_step is 3; it must be true or false"),
]
RIGHT = [
    (torch.optim.Adam, {"betas": [0.9, 0.99], "lr": 1, "fused": None}),
    (torch.optim.lr_scheduler.OneCycleLR, {"max_lr": [0.1, 0.2]}),
    (Trainer, {"precision": "16-mixed", "max_time": {"minutes": 1}, "devices": "auto", "deterministic": "warn"}),
    (Trainer, {"strategy": object(), "plugins": [object()], "limit_val_batches": 0.5}),  # made from nodes of their own
    (torch.nn.CrossEntropyLoss, {"label_smoothing": 0.1}),
    (Digits, {"batch_size": "abc"}),  # it says by itself what a batch size can be
    (lambda **anything: None, {"a": 1}),
]


def ids(cases):
    return [f"{case[0].__name__} {case[1]}" for case in cases]


@pytest.mark.parametrize(("kind", "values", "message"), WRONG, ids=ids(WRONG))
def test_a_value_of_another_kind_is_refused_with_what_it_can_be(kind, values, message):
    with pytest.raises(ValueError, match=message):
        check_arguments(partial(kind, **values))


@pytest.mark.parametrize(("kind", "values"), RIGHT, ids=range(len(RIGHT)))
def test_what_fits_or_cannot_be_known_is_taken(kind, values):
    check_arguments(partial(kind, **values))


def test_what_the_caller_gives_is_not_looked_at():
    check_arguments(partial(Trainer, max_epochs="abc"), later=["max_epochs"])
