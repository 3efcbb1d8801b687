"""The step of a crash.pt made again with the network that its run had."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lit_dl.crashes.crash import Crash, Pass
from lit_dl.crashes.random_state import is_here, put_back
from lit_dl.crashes.repeat import Extent, Sight, not_finite, repeat_pass
from lit_dl.lightning_seams import objective_as_trained, prepared_alone

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


@dataclass
class Replay:
    """What came of it."""

    made: Pass  # the pass that was looked at: the first with a value that is not finite, else the last
    sight: Sight
    wrong_parameters: dict[str, Extent]  # those that are not finite before the pass, as 01_linear.weight
    is_same: bool | None  # whether the loss has the same bits as in the run; None where the run's is not known
    device: str


def replay(module: "LightningModule", network: nn.Module, crash: Crash) -> Replay:
    """Make the step's passes again, on the same kind of device and as many threads, and look at each layer.

    Args:
        module: as it was built for the run; its parameters are replaced.
        network: the part of it whose layers are looked at.
        crash: what was kept.

    Raises:
        ValueError: if crash and module do not go together, or the batch was not kept.
    """
    if any(each.batch is None for each in crash.passes):
        raise ValueError(f"the batch of step {crash.step:,} was not kept: it was found too late")
    threads = torch.get_num_threads()
    torch.set_num_threads(crash.threads)
    try:
        return _replay(module, network, crash)
    except (RuntimeError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ValueError(f"it does not fit the network of the run's config: {error}") from error
    finally:
        torch.set_num_threads(threads)


def _replay(module: "LightningModule", network: nn.Module, crash: Crash) -> Replay:
    kind = crash.device.partition(":")[0]
    device = torch.device(kind if is_here(kind) else "cpu")
    trainer = prepared_alone(module, crash.precision, device)
    _check_names(module, crash)
    module.load_state_dict(crash.parameters, strict=False)
    wrong = not_finite(crash.parameters)
    for made in crash.passes:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                if name in crash.buffers:
                    buffer.copy_(crash.buffers[name])
        put_back(made.random)
        objective = partial(objective_as_trained, trainer, module, made.batch, made.batch_idx)
        sight = repeat_pass(network, objective, crash.accumulated)
        if sight.first is not None:
            break
    wrong = {_by_layer(name, module, sight): extent for name, extent in wrong.items()}
    return Replay(made, sight, wrong, _same_bits(sight.loss, made.loss), str(device))


def _check_names(module: "LightningModule", crash: Crash) -> None:
    """Whether every parameter has its value.

    Raises:
        KeyError: if not.
    """
    ours = {name for name, _ in module.named_parameters()}
    if ours != set(crash.parameters):
        raise KeyError(", ".join(sorted(ours ^ set(crash.parameters))))


def _by_layer(name: str, module: "LightningModule", sight: Sight) -> str:
    """A parameter's name with that of its layer, 01_linear.weight; as it is where the layer was not used."""
    path, _, own = name.rpartition(".")
    owner = module.get_submodule(path)
    return next((f"{row.name}.{own}" for row in sight.rows if row.module is owner), name)


def _same_bits(one: Tensor, other: Tensor | None) -> bool | None:
    if other is None:
        return None
    one = one.cpu()
    return one.dtype == other.dtype and bytes(one.reshape(1).view(torch.uint8)) == bytes(
        other.reshape(1).view(torch.uint8)
    )
