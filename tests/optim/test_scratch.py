"""The twins are torch's optimizers, step by step."""

from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from lit_dl import records
from lit_dl.optim import scratch

CONF = Path(__file__).parents[2] / "conf/optimizer"
TWINS = {
    "sgd": (scratch.SGD, torch.optim.SGD, {"lr": 0.1}),
    "momentum": (scratch.Momentum, torch.optim.SGD, {"lr": 0.05, "momentum": 0.8}),
    "adagrad": (scratch.Adagrad, torch.optim.Adagrad, {"lr": 0.05, "eps": 1e-8}),
    "rmsprop": (scratch.RMSprop, torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-6}),
    "adam": (scratch.Adam, torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6}),
}


def trained(make, dtype=torch.float64, steps=100, resume_at=None) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small net after so many steps, each on a batch of its own."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    optimizer = make(net.parameters())
    for step in range(steps):
        if step == resume_at:
            state = optimizer.state_dict()
            optimizer = make(net.parameters())
            optimizer.load_state_dict(state)
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(16, 4, generator=generator).to(dtype)
        optimizer.zero_grad()
        (net(inputs) - inputs[:, :3].sin()).square().mean().backward()
        optimizer.step()
    return net, optimizer


def furthest(net: nn.Module, other: nn.Module) -> float:
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    return max((p - q).abs().max().item() for p, q in pairs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("rule", TWINS)
def test_a_twin_is_where_torchs_is_after_100_steps(rule, weight_decay, dtype):
    ours, theirs, options = TWINS[rule]
    options = {**options, "weight_decay": weight_decay}
    net, _ = trained(partial(ours, **options), dtype)
    other, _ = trained(partial(theirs, **options), dtype)
    start, _ = trained(partial(theirs, **options), dtype, steps=0)
    assert furthest(net, other) <= 1e-6
    assert furthest(net, start) > 0.01  # it has gone somewhere


@pytest.mark.parametrize("rule", TWINS)
def test_what_a_twin_remembers_has_the_names_and_values_of_torchs(rule):
    ours, theirs, options = TWINS[rule]
    (_, mine), (_, torchs) = trained(partial(ours, **options)), trained(partial(theirs, **options))
    for p, q in zip(mine.param_groups[0]["params"], torchs.param_groups[0]["params"], strict=True):
        for name in ours.state_names:
            assert torch.allclose(mine.state[p][name], torchs.state[q][name], rtol=1e-9)


@pytest.mark.parametrize("rule", TWINS)
def test_a_twin_goes_on_from_its_state_to_the_bit(rule):
    ours, _, options = TWINS[rule]
    whole, _ = trained(partial(ours, **options))
    resumed, _ = trained(partial(ours, **options), resume_at=50)
    assert furthest(whole, resumed) == 0


def test_a_parameter_without_gradient_stays_and_a_closure_gives_the_loss():
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = scratch.Adam([used, unused], lr=0.1, weight_decay=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (3 * used).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 6
    assert torch.allclose(used, torch.full((2,), 0.9))  # the first step of Adam has the size of the rate
    assert torch.equal(unused, torch.ones(2))
    assert unused not in optimizer.state


@pytest.mark.parametrize("option", [{"lr": -0.1}, {"eps": float("nan")}, {"betas": (0.9, 1.0)}, {"weight_decay": -1}])
def test_an_option_out_of_range_is_named(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} is"):
        scratch.Adam([nn.Parameter(torch.ones(1))], **{"lr": 0.1, **option})


@pytest.mark.parametrize("rule", TWINS)
def test_the_yaml_has_the_values_of_its_twin(rule):
    twin, torchs = (yaml.safe_load((CONF / f"{name}.yaml").read_text()) for name in (f"scratch/{rule}", rule))
    assert {key: value for key, value in twin.items() if key != "_target_"}.items() <= torchs.items()


@pytest.mark.slow
def test_a_sweep_over_an_optimizer_and_its_twin_has_a_folder_and_equal_results_for_each(command):
    assert command("-m", "data=digits", "trainer.max_epochs=1", "optimizer=adam,scratch/adam").code == 0
    (sweep,) = Path("outputs").rglob("sweep.json")
    folders = sorted(path for path in sweep.parent.iterdir() if path.is_dir())
    assert [path.name for path in folders] == ["0_optimizer=adam", "1_optimizer=scratch-adam"]
    torchs, twin = map(records.read_run, folders)
    assert twin.metrics == pytest.approx(torchs.metrics, rel=1e-4)
    assert "scratch/adam" in (sweep.parent / "report.csv").read_text()


def test_a_run_with_a_twin_goes_on_from_its_checkpoint(command):
    settings = ("data=digits", "trainer.accelerator=cpu", "optimizer=scratch/adam")
    folder = command(*settings, "trainer.max_epochs=1").folder
    whole = command(*settings, "trainer.max_epochs=2").record
    assert command(f"resume={folder}", "trainer.max_epochs=2").code == 0
    assert records.read_run(folder).metrics == whole.metrics
