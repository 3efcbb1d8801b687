"""Groups against sets made by hand, and rates by their formula."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from tests.runs import steps_and_values
from torch import nn
from torch.optim import SGD, Adam, AdamW, lr_scheduler

from lit_dl import records
from lit_dl.data import Spiral
from lit_dl.layers import order_of_use
from lit_dl.models import CNN, MLP
from lit_dl.optim.groups import Grouped
from lit_dl.optim.schedules import make_scheduler
from lit_dl.tasks.supervised import Classifier


class Backwards(nn.Module):
    """Its layers are registered the other way round, and one has a norm after it."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.slope = nn.PReLU()
        self.norm = nn.LayerNorm([2, 3])
        self.body = nn.Linear(4, 3)
        self.stem = nn.Linear(5, 4)

    def forward(self, inputs):
        return self.head(self.slope(self.norm(self.body(self.stem(inputs)))))


def names_by(optimizer: torch.optim.Optimizer, network: nn.Module, key: str) -> dict[float, set[str]]:
    name = {id(p): name for name, p in network.named_parameters()}
    found: dict[float, set[str]] = {}
    for group in optimizer.param_groups:
        found.setdefault(group[key], set()).update(name[id(p)] for p in group["params"])
    return found


def test_weight_decay_leaves_biases_and_norms_alone():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.PReLU(), nn.LayerNorm([2, 6, 6]), nn.Flatten(),
                        nn.Linear(72, 3))  # fmt: skip
    optimizer = Grouped(partial(AdamW, lr=0.1, weight_decay=0.5), net, decay_biases_and_norms=False)(net.parameters())
    spared = {"0.bias", "1.weight", "1.bias", "2.weight", "3.weight", "3.bias", "5.bias"}
    assert names_by(optimizer, net, "weight_decay") == {0.5: {"0.weight", "5.weight"}, 0.0: spared}
    assert names_by(optimizer, net, "lr").keys() == {0.1}


def test_each_layer_learns_at_the_rate_of_the_one_above_it_times_the_decay():
    net = Backwards()
    order = order_of_use(net, (2, 5))
    assert order == [net.stem, net.body, net.norm, net.slope, net.head]
    optimizer = Grouped(partial(SGD, lr=0.8), net, order, layer_lr_decay=0.5)(net.parameters())
    assert names_by(optimizer, net, "lr") == {
        0.8: {"head.weight", "head.bias"},
        0.4: {"body.weight", "body.bias", "norm.weight", "norm.bias", "slope.weight"},
        0.2: {"stem.weight", "stem.bias"},
    }
    assert optimizer.param_groups[0]["lr"] == 0.8


def test_a_shared_parameter_stands_once_at_the_rate_of_the_first_layer_that_has_it():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    optimizer = Grouped(partial(SGD, lr=1.0), net, layer_lr_decay=0.1)(net.parameters())
    expected = {
        1.0: {"3.weight", "3.bias"},
        0.1: {"0.weight", "0.bias", "2.bias"},
    }  # the third has no weights of its own
    assert names_by(optimizer, net, "lr") == expected
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 5


def test_both_make_a_group_for_each_pair_of_rate_and_decay():
    net = MLP((4,), 3, [5])
    recipe = partial(Adam, lr=0.1, weight_decay=0.01)
    optimizer = Grouped(recipe, net, layer_lr_decay=0.5, decay_biases_and_norms=False)(net.parameters())
    found = [(group["lr"], group["weight_decay"], group["params"]) for group in optimizer.param_groups]
    weights = [
        (0.1, 0.01, net[3].weight),
        (0.1, 0.0, net[3].bias),
        (0.05, 0.01, net[1].weight),
        (0.05, 0.0, net[1].bias),
    ]
    assert [(lr, decay, id(p)) for lr, decay, (p,) in found] == [(lr, decay, id(p)) for lr, decay, p in weights]


@pytest.mark.parametrize("options", [{}, {"decay_biases_and_norms": False}], ids=["default", "nothing to decay"])
def test_without_a_difference_there_is_one_group_as_torch_makes_it(options):
    net = CNN((1, 8, 8), 10, [3, 4])
    recipe = partial(Adam, lr=0.1)
    plain, grouped = recipe(net.parameters()), Grouped(recipe, net, **options)(net.parameters())
    assert len(grouped.param_groups) == 1
    assert list(map(id, grouped.param_groups[0].pop("params"))) == list(map(id, plain.param_groups[0].pop("params")))
    assert grouped.param_groups == plain.param_groups


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        (partial(SGD, lr=0.1), {"layer_lr_decay": 1.5}, "layer_lr_decay is 1.5"),
        (partial(SGD, lr=0.1), {"layer_lr_decay": float("nan")}, "layer_lr_decay is nan"),
        (partial(SGD, lr=0.1), {"decay_biases_and_norms": 1}, "true or false"),
        (torch.optim.LBFGS, {"layer_lr_decay": 0.5}, "per-parameter options"),
        (torch.optim.Rprop, {"decay_biases_and_norms": False}, "weight_decay, and Rprop has none"),
    ],
)
def test_what_cannot_be_grouped_is_named(recipe, options, words):
    net = MLP((4,), 3, [5])
    with pytest.raises(ValueError, match=words):
        Grouped(recipe, net, **options)(net.parameters())


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (partial(SGD, lr=0.1, weight_decay=0.01), {"layer_lr_decay": 0.5, "decay_biases_and_norms": False}),
        (partial(AdamW, lr=0.1), {}),
    ],
)
def test_a_trial_has_the_groups_of_the_optimizer_and_keeps_nothing_of_the_network(recipe, options):
    net = CNN((1, 8, 8), 10, [3, 4])
    grouped = Grouped(recipe, net, **options)
    trial, optimizer = grouped.on_trial(net.parameters()), grouped(net.parameters())
    options_of = [sorted(str({**group, "params": None}) for group in each.param_groups) for each in (trial, optimizer)]
    assert options_of[0] == options_of[1]
    kept = {id(p) for group in trial.param_groups for p in group["params"]}
    assert not kept & set(map(id, net.parameters()))
    assert sum(p.numel() for group in trial.param_groups for p in group["params"]) == len(trial.param_groups)


def test_a_trial_says_what_is_wrong_with_an_argument():
    net = MLP((4,), 3, [5])
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        Grouped(partial(SGD, lr=-1), net).on_trial(net.parameters())
    with pytest.raises(ValueError, match="weight_decay, and Rprop has none"):
        Grouped(torch.optim.Rprop, net, decay_biases_and_norms=False).on_trial(net.parameters())


def test_a_fit_constructs_the_optimizer_once():
    constructed = []

    class Counted(SGD):
        def __init__(self, params, **options) -> None:
            constructed.append(list(params))
            super().__init__(constructed[-1], **options)

    net = MLP((2,), 3, [5])
    task = Classifier(net, Grouped(partial(Counted, lr=0.1), net, layer_lr_decay=0.5))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    Trainer(accelerator="cpu", max_epochs=2, enable_model_summary=False, **quiet).fit(task, Spiral(batch_size="full"))
    assert len(constructed) == 1
    assert {id(p) for group in constructed[0] for p in group["params"]} == set(map(id, net.parameters()))


def grouped_sgd() -> torch.optim.Optimizer:
    net = MLP((4,), 3, [5, 5])
    return Grouped(partial(SGD, lr=1.0, momentum=0.9), net, layer_lr_decay=0.5)(net.parameters())


SCHEDULES = {
    "step": partial(lr_scheduler.StepLR, step_size=1, gamma=0.5),
    "exponential": partial(lr_scheduler.ExponentialLR, gamma=0.9),
    "cosine": partial(lr_scheduler.CosineAnnealingLR, eta_min=0.0),
    "onecycle": partial(lr_scheduler.OneCycleLR, max_lr=2.0),
    "cyclic": partial(lr_scheduler.CyclicLR, base_lr=0.1, max_lr=2.0),
    "plateau": partial(lr_scheduler.ReduceLROnPlateau, patience=0),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_keeps_the_ratio_of_the_rates(name):
    optimizer = grouped_sgd()
    scheduler, _ = make_scheduler(SCHEDULES[name], optimizer, steps=8)
    highest = []
    for _ in range(6):
        rates = [group["lr"] for group in optimizer.param_groups]
        for above, below in pairwise(rates):
            assert below == pytest.approx(above / 2)
        highest.append(rates[0])
        optimizer.step()
        scheduler.step(*([1.0] if name == "plateau" else []))
    alone = SGD([nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.9)
    scheduler, _ = make_scheduler(SCHEDULES[name], alone, steps=8)
    for rate in highest:  # the output layer's rate is that of a net without groups
        assert alone.param_groups[0]["lr"] == pytest.approx(rate)
        alone.step()
        scheduler.step(*([1.0] if name == "plateau" else []))


def test_one_floor_for_all_layers_is_refused():
    with pytest.raises(ValueError, match="take eta_min=0"):
        make_scheduler(partial(lr_scheduler.CosineAnnealingLR, eta_min=0.1), grouped_sgd(), steps=8)


def test_the_command_logs_the_rate_of_each_layer_and_goes_on_with_an_optimizer_of_the_users_too(command):
    Path("conf/optimizer").mkdir(parents=True)
    Path("conf/optimizer/mine.yaml").write_text(
        "_target_: torch.optim.RAdam\nlr: 0.001\nweight_decay: 0.01\n", encoding="utf-8"
    )
    settings = (
        "--config-dir=conf",
        "optimizer=mine",
        "optimizer.layer_lr_decay=0.5",
        "optimizer.decay_biases_and_norms=false",
    )
    settings += ("scheduler=step", "scheduler.step_size=1", "data=digits", "trainer.accelerator=cpu")
    done = command(*settings, "trainer.max_epochs=1")
    folder = done.folder
    assert "weight decay 0.01 (not of biases and norms), times 0.5 a layer down" in done.out
    steps, base = steps_and_values(folder, "lr")
    for name, factor in (("03_linear", 1), ("02_linear", 0.5), ("01_linear", 0.25)):
        assert steps_and_values(folder, f"lr/{name}") == (steps, pytest.approx([rate * factor for rate in base]))
    whole = command(*settings, "trainer.max_epochs=2").record
    assert command("--config-dir=conf", f"resume={folder}", "trainer.max_epochs=2").code == 0
    assert records.read_run(folder).metrics == whole.metrics
