"""What lit_dl uses of Lightning and torch without their promise: run with the oldest and the newest."""

import inspect
import logging
import re
import signal
import warnings
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lit_dl import lightning_seams as seams
from lit_dl.callbacks.checkpoints import AtomicCheckpointIO


class Small(seams.QuickHookNames, LightningModule):
    """Eight steps an epoch of a net of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.fitting: list[bool] = []

    def forward(self, inputs):
        return self.layer(inputs)

    def training_step(self, batch, batch_idx):
        self.fitting.append(seams.is_fitting(self.trainer))
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Validated(Small):
    """The same with a validation."""

    def validation_step(self, batch, batch_idx):
        self.fitting.append(seams.is_fitting(self.trainer))


def loader() -> DataLoader:
    return DataLoader(TensorDataset(torch.ones(16, 2)), batch_size=2)


def trainer(folder, *callbacks, **options) -> Trainer:
    options = {"logger": False, "enable_checkpointing": False, **options}
    return Trainer(
        accelerator="cpu", default_root_dir=folder, callbacks=list(callbacks), enable_progress_bar=False,
        enable_model_summary=False, **options,
    )  # fmt: skip


def test_lightning_keeps_the_hooks_name_where_it_is_stored_quickly(tmp_path):
    names = []

    class Names(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            names.append(pl_module.__dict__.get("_current_fx_name"))

    module = Small()
    trainer(tmp_path, Names(), max_epochs=1).fit(module, loader())
    assert set(names) == {"on_train_batch_end"}
    module.layer = nn.Linear(2, 1)  # what is a module is still registered as one
    assert dict(module.named_parameters()).keys() == {"layer.weight", "layer.bias"}


def test_the_trainer_tells_how_often_it_logs_and_whether_it_is_a_trial(tmp_path):
    assert seams.log_every(trainer(tmp_path, log_every_n_steps=7)) == 7
    assert not seams.is_trial(trainer(tmp_path))
    assert seams.is_trial(trainer(tmp_path, fast_dev_run=2))


def test_fitting_is_told_from_the_sanity_check_and_from_a_validation_by_itself(tmp_path):
    module = Validated()
    run = trainer(tmp_path, max_epochs=1, num_sanity_val_steps=1, limit_val_batches=1)
    run.fit(module, loader(), loader())
    assert module.fitting == [False, *[True] * 8, True]  # the sanity check, eight steps, the validation
    run.validate(module, loader(), verbose=False)
    assert module.fitting[-1] is False


def test_a_checkpoint_of_an_epochs_end_counts_the_epoch_as_complete(tmp_path):
    class Saves(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / "end.ckpt")

    class Completes(Small):
        def on_load_checkpoint(self, checkpoint):
            seams.complete_epoch(checkpoint)

    trainer(tmp_path, Saves(), max_epochs=9, max_steps=8).fit(Small(), loader())
    run = trainer(tmp_path, max_epochs=9, max_steps=24)
    run.fit(Completes(), loader(), ckpt_path=tmp_path / "end.ckpt")
    assert (run.global_step, run.current_epoch) == (24, 3)


def test_ctrl_c_in_a_training_is_a_keyboard_interrupt_and_the_next_one_is_heard(tmp_path):
    class Interrupts(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt), seams.interruptions():
            trainer(tmp_path, Interrupts(), max_epochs=1).fit(Small(), loader())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_in_a_training_is_a_keyboard_interrupt_that_waits_for_no_other_process(tmp_path, monkeypatch):
    class Terminates(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
            monkeypatch.setattr(torch.distributed, "broadcast", lambda *_, **__: pytest.fail("it waits"))
            monkeypatch.setattr(type(trainer), "world_size", 2)
            signal.raise_signal(signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command has it
    try:
        with pytest.raises(KeyboardInterrupt), seams.interruptions():
            trainer(tmp_path, Terminates(), max_epochs=1).fit(Small(), loader())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_ends_a_training_with_one_of_its_processes_says_so():
    import lightning.fabric.strategies.launchers.subprocess_script as launcher

    assert launcher._logger.name == seams.OBSERVER
    assert "_logger.info" in inspect.getsource(launcher._ChildProcessObserver)
    seams.be_quiet()
    assert launcher._logger.isEnabledFor(logging.INFO)


def test_lightnings_loggers_have_the_names_that_are_silenced(tmp_path):
    seams.be_quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for remark in seams.KNOWN_REMARKS:
            warnings.filterwarnings("ignore", remark)
        trainer(tmp_path, max_epochs=1).fit(Small(), loader())  # warns of workers and of few batches
    assert logging.getLogger("lightning.pytorch.utilities.rank_zero").getEffectiveLevel() == logging.WARNING
    assert seams.be_quiet() is False  # this is the first process


def test_remarks_that_are_silenced_are_still_made(tmp_path):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer(tmp_path, max_epochs=1, logger=TensorBoardLogger(tmp_path)).fit(Small(), loader())
    made = [str(warning.message) for warning in seen]
    few_batches, tree = seams.KNOWN_REMARKS[4], seams.KNOWN_REMARKS[6]  # that on workers needs more than two cores
    assert any(re.match(few_batches, remark) for remark in made), made
    assert any(re.match(tree, remark) for remark in made), made


def test_the_cpu_is_among_the_accelerators_that_are_known_and_here():
    known, usable = seams.accelerators()
    assert {"cpu", "cuda", "mps", "tpu"} <= set(known)
    assert "cpu" in usable
    assert ("cuda" in usable) == torch.cuda.is_available()


def test_gradients_are_scaled_where_mixed_precision_has_a_scaler_and_the_optimizer_undoes_it(tmp_path):
    run = trainer(tmp_path)
    weight = nn.Parameter(torch.ones(2))
    plain, fused = torch.optim.SGD([weight], lr=0.1), torch.optim.SGD([weight], lr=0.1, fused=True)
    assert not seams.has_scaler(run)
    assert seams.scale_left(run, fused) == 1
    run.precision_plugin.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    assert seams.has_scaler(run)
    assert seams.scale_left(run, plain) == 1  # unscaled before the hook
    assert seams.scale_left(run, fused) == 8


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("64-true", torch.float64),
                                                  ("bf16-mixed", torch.bfloat16)])  # fmt: skip
def test_a_picture_is_made_in_the_precision_of_the_training(tmp_path, precision, dtype):
    module = Small()
    run = trainer(tmp_path, max_epochs=1, precision=precision, limit_train_batches=1)
    run.fit(module, DataLoader(TensorDataset(torch.ones(2, 2)), batch_size=2))
    assert seams.forward_as_trained(run, module, torch.ones(3, 2)).dtype == dtype


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
def test_a_single_step_gives_the_objective_that_training_had(tmp_path, precision):
    class Listening(Callback):
        def on_before_backward(self, trainer, pl_module, loss):
            self.loss = loss.detach()

    listening, module = Listening(), Small()
    start = {name: value.clone() for name, value in module.state_dict().items()}
    trainer(tmp_path, listening, max_steps=1, precision=precision, limit_train_batches=1).fit(module, loader())
    alone = Small()
    alone.load_state_dict(start)
    run = seams.prepared_alone(alone, precision, torch.device("cpu"))
    batch = [torch.ones(2, 2, dtype=torch.float64 if precision == "64-true" else torch.float32)]
    loss = seams.objective_as_trained(run, alone, batch, 0)
    assert loss.dtype == listening.loss.dtype
    assert torch.equal(loss.detach(), listening.loss)
    assert alone.training
    assert alone.trainer is run


def test_callbacks_that_are_added_are_called(tmp_path):
    class Counting(Callback):
        steps = 0

        def on_train_batch_end(self, *_):
            self.steps += 1

    given, added = Counting(), Counting()
    run = trainer(tmp_path, given, max_steps=3)
    assert given in seams.callbacks_of(run)
    seams.callbacks_of(run).append(added)
    run.fit(Small(), loader())
    assert (given.steps, added.steps) == (3, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_norms_are_those_of_each_tensor_by_itself(dtype):
    seed_everything(0, verbose=False)
    tensors = [torch.randn(shape).to(dtype) for shape in ((3, 4), (5,), ())]
    for found, tensor in zip(seams.norms(tensors), tensors, strict=True):
        torch.testing.assert_close(found.double(), tensor.double().square().sum().sqrt(), rtol=1e-6, atol=0)
    assert [float(each) for each in seams.largest(tensors)] == [float(tensor.abs().max()) for tensor in tensors]


def test_sums_of_roots_copies_and_differences_are_those_of_each_tensor_by_itself():
    tensors = [torch.tensor([1.0, 4.0]), torch.tensor([[9.0], [16.0]])]
    assert [float(total) for total in seams.sums_of_roots(tensors)] == [3.0, 7.0]
    assert seams.sums_of_roots([]) == []
    copies = [torch.empty_like(tensor) for tensor in tensors]
    seams.copy_into(copies, tensors)
    assert all(torch.equal(copy, tensor) for copy, tensor in zip(copies, tensors, strict=True))
    seams.subtract_from(copies, [torch.ones(2), torch.ones(2, 1)])
    assert [copy.flatten().tolist() for copy in copies] == [[0.0, 3.0], [8.0, 15.0]]


def test_each_operation_of_torch_and_all_it_makes_can_be_seen():
    made = []

    class Sees(seams.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            outputs = function(*args, **(kwargs or {}))
            made.extend(seams.tree_leaves(outputs))
            return outputs

    with Sees():
        torch.ones(3).split(2)
    assert [tuple(tensor.shape) for tensor in made][-2:] == [(2,), (1,)]  # after those of torch.ones


def test_lightnings_checkpoint_io_saves_by_the_arguments_that_lit_dl_takes():
    theirs = inspect.signature(AtomicCheckpointIO.__mro__[1].save_checkpoint).parameters
    assert list(theirs) == list(inspect.signature(AtomicCheckpointIO.save_checkpoint).parameters)


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Environment variable TORCH_FORCE", "ignore:You defined a .validation_step")
@pytest.mark.parametrize("doing", ["fit", "validate", "test"])
def test_a_checkpoint_that_runs_code_is_not_loaded_whatever_lightning_and_torch_would_do(tmp_path, monkeypatch, doing):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # so that every Lightning would unpickle it
    checkpoint, spoilt = tmp_path / "last.ckpt", tmp_path / "spoilt"
    torch.save({"state_dict": {}, "global_step": Touches(spoilt)}, checkpoint)

    class Tested(Validated):
        test_step = Validated.validation_step

    def load(*plugins) -> None:
        run = trainer(tmp_path, plugins=list(plugins), max_epochs=1)
        getattr(run, doing)(Tested(), loader(), ckpt_path=checkpoint)

    with pytest.raises(ValueError, match="more than tensors and primitives"):
        load(AtomicCheckpointIO())
    assert not spoilt.exists()
    with pytest.raises(KeyError):
        load()
    assert spoilt.exists()
