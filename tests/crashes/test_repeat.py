"""A kept step is made again to the bit, and the layer is named in which it went wrong."""

import re

import pytest
import torch
from tests.callbacks.fragile import made, trained
from torch import nn

from lit_dl.crashes.crash import read_crash
from lit_dl.crashes.repeat import extent_of, not_finite, repeat_pass
from lit_dl.crashes.replay import replay
from lit_dl.crashes.words import (
    how_alike,
    of_batch,
    table_of,
    what_reaches_the_loss,
    where_it_arose,
    wrong_in_batch,
    wrong_parameters,
)


def sentence(sight) -> str:
    return where_it_arose(sight)


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
def test_a_step_is_repeated_to_the_bit_with_dropout_and_all_sources_of_random_numbers(tmp_path, precision):
    module = made()
    trained(module, tmp_path, precision=precision)
    torch.manual_seed(99)
    again = made("nowhere")
    again.net[4].where = "forward"
    found = replay(again, again.net, read_crash(tmp_path))
    assert found.is_same
    assert torch.equal(again.seen[0], module.seen[7])  # with its dropout and noise; what comes after is the monitor's
    assert not torch.equal(again.seen[0], module.seen[6])
    assert sentence(found.sight) == (
        "the first value that is not finite arises in the output of 02_breaks (forward): 8 of 40 entries"
    )


def test_with_other_random_numbers_it_would_not_be_the_same(tmp_path):
    module = made()
    trained(module, tmp_path)
    for source in ("cpu", "python", "numpy"):
        crash, again = read_crash(tmp_path), made()
        other = {**crash.passes[0].random}
        del other[source]
        other.setdefault("cpu", torch.Generator().manual_seed(5).get_state())
        crash.passes[0].random = other
        replay(again, again.net, crash)
        assert not torch.equal(again.seen[0], module.seen[7]), source


def test_what_breaks_on_the_way_back_is_named_there(tmp_path):
    trained(made("backward"), tmp_path)
    again = made("backward")
    found = replay(again, again.net, read_crash(tmp_path))
    assert found.is_same
    assert torch.isfinite(found.sight.loss)
    assert sentence(found.sight) == (
        "the first value that is not finite arises in the gradient of the output of 02_linear (backward): "
        "10 of 40 entries"
    )
    rows = {row.name: row for row in found.sight.rows}
    assert list(rows) == ["01_linear", "01_tanh", "01_dropout", "02_linear", "02_breaks", "03_linear", "loss"]
    assert rows["03_linear"].gradient.bad == rows["03_linear"].weights.bad == 0
    assert rows["02_linear"].gradient[1:] == (10, 40)


def test_extents_are_those_of_a_plain_loop():
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    inputs = torch.randn(5, 3)
    sight = repeat_pass(network, lambda: network(inputs).square().sum())
    before = network[0](inputs)
    outputs = network(inputs)
    upper = 2 * outputs  # d sum y^2 / dy
    lower = (upper @ network[2].weight) * (before > 0)
    expected = {
        "01_linear": (inputs, before, lower, [lower.T @ inputs, lower.sum(0)]),
        "01_relu": (before, before.relu(), upper @ network[2].weight, None),
        "02_linear": (before.relu(), outputs, upper, [upper.T @ before.relu(), upper.sum(0)]),
        "loss": (None, outputs.square().sum(), None, None),
    }
    assert [row.name for row in sight.rows] == list(expected)
    for row in sight.rows:
        for seen, wanted in zip((row.inputs, row.outputs, row.gradient, row.weights), expected[row.name], strict=True):
            if wanted is None:
                assert seen is None
                continue
            parts = wanted if isinstance(wanted, list) else [wanted]
            largest = max(abs(value) for part in parts for value in part.detach().flatten().tolist())
            assert seen.largest == pytest.approx(largest, rel=1e-5)
            assert (seen.bad, seen.entries) == (0, sum(part.numel() for part in parts))
    assert sight.first is None
    assert sentence(sight) == "every value of this step is finite here"


def test_hooks_are_gone_afterwards():
    network = nn.Linear(2, 1)
    sight = repeat_pass(network, lambda: network(torch.ones(3, 2)).sum())
    rows = len(sight.rows)
    network(torch.ones(3, 2)).sum().backward()
    assert len(sight.rows) == rows
    assert not network._forward_hooks
    assert not network._forward_pre_hooks
    assert not network.weight._backward_hooks


def test_what_arises_between_layers_is_said_to():
    class Between(nn.Sequential):
        def forward(self, inputs):
            return self[1](self[0](inputs) * 1e38 * 1e38)

    network = Between(nn.Linear(2, 2), nn.Linear(2, 1))
    sight = repeat_pass(network, lambda: network(torch.ones(3, 2)).sum())
    assert sentence(sight) == (
        "the first value that is not finite arises in the input of 02_linear (forward), by an operation between "
        "01_linear and it that is no layer: 6 of 6 entries"
    )


def test_what_arises_in_the_loss_is_said_to():
    network = nn.Linear(2, 1)
    sight = repeat_pass(network, lambda: network(torch.ones(3, 2)).sum() / 0.0)
    assert sentence(sight) == "the first value that is not finite arises in the loss (forward): 1 of 1 entry"


def test_what_a_relu_makes_finite_again_is_not_what_reaches_the_loss():
    network = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    for layer, weight in ((0, [[-3e38], [1.0]]), (2, [[1.0, 3e38], [0.0, 1.0]])):
        network[layer].weight.data = torch.tensor(weight)
    sight = repeat_pass(network, lambda: network(torch.full((1, 1), 2.0)).sum())
    assert sentence(sight) == (
        "the first value that is not finite arises in the output of 01_linear (forward): 1 of 2 entries"
    )
    assert what_reaches_the_loss(sight) == (
        "01_relu makes every value finite again; what reaches the loss arises in the output of 02_linear: "
        "1 of 2 entries"
    )
    network[2].weight.data = torch.ones(2, 2)
    assert what_reaches_the_loss(repeat_pass(network, lambda: network(torch.full((1, 1), 2.0)).sum())) is None


def test_a_gradient_whose_norm_alone_overflows_is_told():
    network = nn.Linear(2, 1)
    sight = repeat_pass(network, lambda: 1e30 * network(torch.ones(3, 2)).sum())
    assert sight.first is None
    assert sentence(sight).endswith("finite here, but the norm of its gradient is not: the square of 3e+30 overflows")


def test_inputs_and_parameters_that_are_not_finite_from_the_start_are_named(tmp_path):
    trained(made(), tmp_path)
    crash = read_crash(tmp_path)
    crash.passes[0].batch[0][3, 1] = float("nan")
    crash.passes[0].rows = torch.arange(40, 48)
    crash.parameters["net.3.bias"][:2] = float("inf")
    again = made("nowhere")
    found = replay(again, again.net, crash)
    assert wrong_in_batch(found.made) == "the batch's inputs are not finite: 1 of 32 entries (rows 43)"
    assert wrong_parameters(found.wrong_parameters, crash) == (
        "parameters were not finite before this step: 02_linear.bias (2 of 5 entries)"
    )
    assert "the input of 01_linear (forward): 1 of 32 entries" in sentence(found.sight)
    assert of_batch(found.made) == "8 samples: rows 40, 41, 42, 43, 44, 45, 46, 47"
    assert not_finite({"a": torch.ones(2), "b": torch.tensor([1.0, float("-inf")])}) == {
        "b": extent_of(torch.tensor([1.0, float("inf")]))
    }


def test_the_table_marks_the_row(tmp_path, capsys):
    from rich.console import Console

    trained(made(), tmp_path)
    again = made()
    found = replay(again, again.net, read_crash(tmp_path))
    Console(width=80).print(table_of(found.sight))
    (marked,) = [line for line in capsys.readouterr().out.splitlines() if "<- first" in line]
    assert re.fullmatch(r"02_breaks +[\d.]+ +[\d.]+ +20% +none +100% <- first", marked.rstrip())


def test_another_network_is_refused(tmp_path):
    trained(made(), tmp_path)
    other = made()
    other.net[5] = nn.Linear(5, 4)
    with pytest.raises(ValueError, match="does not fit the network"):
        replay(other, other.net, read_crash(tmp_path))
    other.net[5] = nn.Identity()
    with pytest.raises(ValueError, match="does not fit the network"):
        replay(other, other.net, read_crash(tmp_path))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a crash.pt."""
    folder = tmp_path_factory.mktemp("kept")
    trained(made(), folder)
    return folder / "crash.pt"


@pytest.mark.parametrize("harm", ["cut", "text", "pickle"])
def test_a_damaged_file_is_said_to_be(kept, tmp_path, harm):
    path = tmp_path / "crash.pt"
    if harm == "cut":
        path.write_bytes(kept.read_bytes()[:2000])
    elif harm == "text":
        path.write_text("no tensors")
    else:
        torch.save({"passes": [print]}, path)
    with pytest.raises(ValueError, match=r"crash\.pt is damaged"):
        read_crash(tmp_path)


@pytest.mark.parametrize("part", ["step", "epoch", "state_step", "losses", "parameters", "passes", "threads", "device"])
@pytest.mark.parametrize("junk", [None, [3], -1.5], ids=str)
def test_a_file_with_other_things_in_it_is_said_to_be_damaged(kept, tmp_path, part, junk):
    torch.save({**torch.load(kept, weights_only=True), part: junk}, tmp_path / "crash.pt")
    with pytest.raises(ValueError, match=r"crash\.pt is damaged"):
        read_crash(tmp_path)


@pytest.mark.parametrize("part", ["batch_idx", "random", "rows"])
def test_a_pass_with_other_things_in_it_is_said_to_be_damaged(kept, tmp_path, part):
    content = torch.load(kept, weights_only=True)
    content["passes"][0][part] = "3"
    torch.save(content, tmp_path / "crash.pt")
    with pytest.raises(ValueError, match=r"crash\.pt is damaged"):
        read_crash(tmp_path)


def test_a_loss_that_is_not_the_same_is_said_with_what_else_differs(tmp_path):
    trained(made("backward"), tmp_path)  # where the loss is finite
    crash = read_crash(tmp_path)
    crash.parameters["net.0.bias"][0] += 1e-3
    crash.torch, crash.device = "1.0", "cuda:0"
    again = made("backward")
    found = replay(again, again.net, crash)
    assert found.is_same is False
    said = how_alike(crash, found)
    assert said.startswith("not the same to the bit; the run's was ")
    assert said.endswith(f"; the run was on cuda:0, this is cpu; the run had torch 1.0, this is {torch.__version__}")
