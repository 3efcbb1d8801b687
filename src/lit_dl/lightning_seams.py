"""Each use of what Lightning or torch do not promise: a function, why, and a test of its own.

An upgrade that breaks lit_dl breaks here. ``tests/test_lightning_seams.py`` holds what each of these rests on, and is
run with the oldest and the newest versions that ``pyproject.toml`` allows.
"""

import logging
import math
import pickle
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# To see each operation of torch and the tensors that it makes: without them memory could not be counted on a CPU.
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode
from torch.utils._pytree import tree_leaves as tree_leaves

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

HALF = (torch.float16, torch.bfloat16)

# Lightning's remarks on what is meant so here: data in memory needs no workers, metrics are reduced before they are
# logged, a resumed run finds its own checkpoints and may leave early stopping out, a short run has few steps to log.
# The last is between Lightning and torch.
KNOWN_REMARKS = (
    ".*does not have many workers.*",
    ".*sync_dist=True.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*Trainer.test.*DistributedSampler.*|.*DistributedSampler.*Trainer.*",
    ".*isinstance.treespec, LeafSpec.*",
)


# Its one line of info says why it kills this process: another one of DDP's was killed.
OBSERVER = "lightning.fabric.strategies.launchers.subprocess_script"


class QuickHookNames(nn.Module):
    """A module for which storing ``_current_fx_name`` costs nothing.

    Lightning stores the name of the current hook 44 times a step, and each time nn.Module looks whether it is a
    parameter, buffer or submodule, which a name is not: 0.1 ms of a step of 1 ms.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


def log_every(trainer: "Trainer") -> int:
    """The trainer's ``log_every_n_steps``, an attribute that one of its connectors sets."""
    steps: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set where mypy does not look
    return steps


def callbacks_of(trainer: "Trainer") -> "list[Callback]":
    """The trainer's callbacks, to look at and to add to; set like ``log_every_n_steps``."""
    found: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set where mypy does not look
    return found


def is_trial(trainer: "Trainer") -> bool:
    """Whether ``fast_dev_run`` keeps the trainer from leaving anything behind; set like ``log_every_n_steps``."""
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]  # set where mypy does not look


def is_fitting(trainer: "Trainer") -> bool:
    """Whether training is under way, also in one of its validations; its sanity check does not count."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def is_mid_epoch(trainer: "Trainer") -> bool:
    """Whether training is under way and more batches of the epoch are to come, as in a validation between them."""
    return is_fitting(trainer) and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


def save_if_best(checkpoints: "ModelCheckpoint", trainer: "Trainer") -> None:
    """Let a ModelCheckpoint that saves at the end of epochs save now, if what it monitors is at its best."""
    checkpoints._save_topk_checkpoint(trainer, checkpoints._monitor_candidates(trainer))


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU: tensors and primitives alone, so that a stranger's cannot run code.

    Lightning 2.5 unpickles whatever is there, and newer ones what an environment variable of torch's allows.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it holds anything else.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"{path} is damaged, or holds more than tensors and primitives, as code does") from error
    return checkpoint


def complete_epoch(checkpoint: dict[str, Any]) -> bool:
    """Count the epoch at whose end a checkpoint was saved as complete, in the state of Lightning's loops.

    Lightning does so only after the hook that saves, and with ``max_steps`` a resumed training would count it twice.

    Returns:
        whether it was saved at the end of an epoch, not in the middle of one.
    """
    fit_loop = checkpoint["loops"]["fit_loop"]
    batches, epochs = fit_loop["epoch_loop.batch_progress"], fit_loop["epoch_progress"]
    at_end = bool(batches["is_last_batch"]) and epochs["total"]["processed"] == epochs["total"]["started"]
    if at_end:
        batches["is_last_batch"] = False
        batches["current"] = dict.fromkeys(batches["current"], 0)
        for counts in epochs.values():
            counts["completed"] = counts["processed"]
    return at_end


@contextmanager
def interruptions() -> Iterator[None]:
    """Ctrl-C and SIGTERM as the KeyboardInterrupt that they are.

    Lightning answers them with ``sys.exit(1)`` and leaves the process deaf to Ctrl-C. Where there are several processes
    each tells the others of a SIGTERM before it answers, which waits for one that is at something else, or fails.

    Raises:
        KeyboardInterrupt: if the user or the system stopped the block.
    """
    from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

    try:
        with patch.object(_SignalConnector, "_sigterm_notifier_fn", lambda *_: None):
            yield
    except SystemExit as leaving:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from leaving


def be_quiet() -> bool:
    """Leave the terminal to lit_dl: no info lines of Lightning's, no remarks that do not apply.

    Returns:
        whether this is one of DDP's other processes, which say nothing at all.
    """
    from lightning.pytorch.utilities import rank_zero_only

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger(OBSERVER).setLevel(logging.INFO)
    for remark in KNOWN_REMARKS:
        warnings.filterwarnings("ignore", remark)
    return bool(getattr(rank_zero_only, "rank", 0) != 0)


def accelerators() -> tuple[list[str], list[str]]:
    """The accelerators that Lightning knows by name, and of those the ones that this machine has."""
    from lightning.pytorch.accelerators import AcceleratorRegistry

    known = sorted(AcceleratorRegistry.available_accelerators())
    return known, [name for name in known if AcceleratorRegistry[name]["accelerator"].is_available()]


def has_scaler(trainer: "Trainer") -> bool:
    """Whether mixed precision scales the loss, so that a gradient may overflow and be left out."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def scale_left(trainer: "Trainer", optimizer: Optimizer) -> Tensor:
    """What gradients are still multiplied by, (): fused optimizers undo the loss scaling of 16-mixed by themselves."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    fused = getattr(optimizer, "_step_supports_amp_scaling", False)  # the mark that torch's GradScaler goes by
    one = torch.ones((), device=optimizer.param_groups[0]["params"][0].device)
    return one if scaler is None or not fused else scaler.scale(one)  # get_scale() would wait for the device


def forward_as_trained(trainer: "Trainer", module: "LightningModule", inputs: Tensor) -> Tensor:
    """What a module gives for inputs, on its device and in the trainer's precision, as its own steps have them."""
    precision = trainer.strategy.precision_plugin
    converted = precision.convert_input(inputs.to(module.device))
    with precision.forward_context():
        outputs: Tensor = module(converted)
    return outputs


def prepared_alone(module: "LightningModule", precision: str, device: torch.device) -> "Trainer":
    """Lay a module out for single training steps, as a trainer of that precision on that device would.

    The module may ask the trainer that comes back, which leaves nothing behind and trains nothing. What the module logs
    goes nowhere: outside of a loop Lightning has no place for it.
    """
    from lightning.pytorch import Trainer

    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(accelerator=device.type, devices=1, precision=precision, barebones=False, **off)  # type: ignore[arg-type]  # as read
    module.trainer = trainer
    for name in ("log", "log_dict"):  # of this object alone
        setattr(module, name, lambda *_, **__: None)
    trainer.precision_plugin.convert_module(module)
    module.train().to(device)
    return trainer


def objective_as_trained(trainer: "Trainer", module: "LightningModule", batch: Any, batch_idx: int) -> Tensor:
    """What a module's training step gives for a batch, on its device and in the trainer's precision."""
    from lightning.fabric.utilities import move_data_to_device

    with trainer.precision_plugin.train_step_context():
        found = module.training_step(move_data_to_device(batch, module.device), batch_idx)
    loss = found["loss"] if isinstance(found, Mapping) else found
    assert isinstance(loss, Tensor), "the step of a kept pass had a loss"
    return loss


def norms(tensors: Sequence[Tensor], order: float = 2) -> list[Tensor]:
    """Norm of each tensor, (); of half precision in float32. On the device, in one kernel where it can fuse them."""
    if any(tensor.dtype in HALF for tensor in tensors):
        return list(torch._foreach_norm(list(tensors), order, torch.float32))
    return list(torch._foreach_norm(list(tensors), order))


def largest(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Largest magnitude in each tensor, ()."""
    return norms(tensors, math.inf)


def sums_of_roots(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Sum of the square roots of each tensor's entries, none of them negative, ()."""
    return norms(torch._foreach_sqrt(list(tensors)), order=1) if tensors else []


def copy_into(copies: Sequence[Tensor], originals: Sequence[Tensor]) -> None:
    """Copy each tensor, in one kernel where it can fuse them."""
    torch._foreach_copy_(list(copies), list(originals))


def subtract_from(minuends: Sequence[Tensor], subtrahends: Sequence[Tensor]) -> None:
    """Subtract tensors in place, in one kernel where it can fuse them."""
    torch._foreach_sub_(list(minuends), list(subtrahends))
