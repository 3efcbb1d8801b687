"""Measures of activations against a loop over single outputs."""

import math
import statistics

import pytest
import torch
from torch import nn

from lit_dl.diagnostics.activations import ENOUGH, ActivationStatistics, ForwardWatch
from lit_dl.diagnostics.transfer import Transfer
from lit_dl.models import CNN, MLP


def statistics_of(watch: ForwardWatch, batches, measured=-1) -> dict[str, ActivationStatistics]:
    for number, batch in enumerate(batches):
        watch.begin(measuring=number == len(batches) + measured)
        watch.network(batch)
        watch.end()
    transfer = Transfer()
    watch.send(transfer)
    transfer.fetch()
    return {each.name: each for each in watch.read()}


def batches(*shape: int, count: int = 3) -> list[torch.Tensor]:
    return list(torch.randn(count, 16, *shape, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(("kind", "bounds"), [(nn.Sigmoid, (0.03, 0.97)), (nn.Tanh, (-0.97, 0.97))])
def test_saturated_share_mean_and_deviation_equal_a_loop_over_the_last_batch(kind, bounds):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 30), kind())
    nn.init.normal_(net[0].weight, std=2.0)
    inputs = batches(5)
    found = statistics_of(ForwardWatch(net), inputs)[f"01_{kind.__name__.lower()}"]
    values = net(inputs[-1]).double().flatten().tolist()
    outside = sum(value < bounds[0] or value > bounds[1] for value in values)
    assert 0 < outside < len(values)
    assert found.saturated == pytest.approx(outside / len(values))
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found.std == pytest.approx(statistics.pstdev(values), rel=1e-5)
    assert found.dead is None


def silent(outputs: torch.Tensor) -> float:
    """Share of units, (samples, units, ...), that gave 0 for every sample and position, by a loop."""
    units = outputs.transpose(0, 1).flatten(1).tolist()
    return sum(all(value == 0 for value in unit) for unit in units) / len(units)


def test_dead_units_gave_zero_for_every_sample_since_they_were_read_before():
    torch.manual_seed(0)
    net = MLP((5,), 3, [40])
    nn.init.constant_(net[1].bias, -1.3)
    inputs = batches(5)
    watch = ForwardWatch(net)
    for part in (inputs, inputs[:1]):
        expected = silent(torch.cat([torch.relu(net[1](batch)) for batch in part]))
        found = statistics_of(watch, part)["01_relu"]
        assert 0 < expected < 1
        assert found.dead == pytest.approx(expected)
        assert found.saturated is None
    assert silent(torch.relu(net[1](inputs[0]))) > silent(torch.cat([torch.relu(net[1](batch)) for batch in inputs]))


def test_after_a_convolution_a_unit_is_a_channel():
    torch.manual_seed(0)
    net = CNN((1, 8, 8), 10, [12, 4], kernel_size=3, padding=1, hidden=[5])
    net.features[0].bias.data = torch.linspace(-4, 0, 12)
    inputs = batches(1, 8, 8)
    found = statistics_of(ForwardWatch(net), inputs)
    expected = silent(torch.cat([torch.relu(net.features[0](batch)) for batch in inputs]))
    assert 0 < expected < 1
    assert found["01_relu"].dead == pytest.approx(expected)
    assert list(found) == ["01_relu", "02_relu", "03_relu"]


def test_a_unit_counts_as_dead_for_long_only_after_enough_samples():
    net = MLP((5,), 3, [4])
    nn.init.constant_(net[1].bias, -100.0)
    watch = ForwardWatch(net)
    few = ENOUGH // 16 - 1
    assert statistics_of(watch, batches(5, count=few))["01_relu"].long_dead is None
    assert statistics_of(watch, batches(5, count=1))["01_relu"].long_dead == 1.0
    nn.init.constant_(net[1].bias, 100.0)
    assert statistics_of(watch, batches(5, count=1))["01_relu"].long_dead == 1.0  # the newest that is known
    assert statistics_of(watch, batches(5, count=ENOUGH // 16))["01_relu"].long_dead == 0.0


def test_one_answer_in_that_time_is_enough_to_live():
    net = MLP((5,), 3, [4])
    nn.init.constant_(net[1].bias, -100.0)
    watch = ForwardWatch(net)
    statistics_of(watch, [torch.full((16, 5), 1e4), torch.full((16, 5), -1e4)])  # each unit answers one of them
    found = statistics_of(watch, batches(5, count=ENOUGH // 16))["01_relu"]
    assert (found.dead, found.long_dead) == (1.0, 0.0)


class Reused(nn.Module):
    """Layers in another order than they are registered, and one ReLU for all."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.last = nn.Linear(6, 2)
        self.first = nn.Linear(5, 7)
        self.middle = nn.Linear(7, 6)

    def forward(self, inputs):
        return self.last(self.act(self.middle(self.act(self.first(inputs)))))


def test_a_module_used_after_several_layers_counts_once_for_each():
    torch.manual_seed(0)
    net = Reused()
    nn.init.constant_(net.middle.bias, -100.0)
    watch = ForwardWatch(net)
    found = statistics_of(watch, batches(5))
    assert [layer.module for layer in watch.layers] == [net.first, net.middle, net.last]
    assert list(found) == ["01_relu", "02_relu"]
    assert found["02_relu"].dead == 1.0
    assert found["01_relu"].dead < 1.0


@pytest.mark.parametrize("kind", [nn.GELU, nn.LeakyReLU, nn.Softplus])
def test_units_that_never_give_exactly_zero_are_not_called_dead(kind):
    watch = ForwardWatch(nn.Sequential(nn.Linear(5, 4), kind()))
    (found,) = statistics_of(watch, batches(5)).values()
    assert (found.dead, found.saturated) == (None, None)


def test_a_prelu_is_a_layer_and_an_activation():
    watch = ForwardWatch(nn.Sequential(nn.Linear(5, 4), nn.PReLU(), nn.Linear(4, 2)))
    assert list(statistics_of(watch, batches(5))) == ["02_prelu"]
    assert [layer.name for layer in watch.layers] == ["01_linear", "02_prelu", "03_linear"]


def test_evaluation_is_not_watched_and_closing_takes_every_hook_off():
    net = MLP((5,), 3, [4])
    watch = ForwardWatch(net)
    first = statistics_of(watch, batches(5))
    net(torch.full((16, 5), 1e4))  # as in validation
    assert statistics_of(watch, batches(5)) == first
    watch.close()
    assert not any(module._forward_hooks for module in net.modules())


def test_the_first_layer_whose_output_is_not_finite_is_found():
    net = MLP((5,), 3, [4, 4])
    watch = ForwardWatch(net)
    statistics_of(watch, batches(5))
    assert watch.first_non_finite(batches(5)[0]) is None
    nn.init.constant_(net[3].weight, math.inf)
    nn.init.constant_(net[5].weight, math.nan)
    state = torch.get_rng_state()
    assert watch.first_non_finite(batches(5)[0]) == "02_linear"
    assert torch.equal(torch.get_rng_state(), state)
    assert watch.first_non_finite("no input of this network") is None
