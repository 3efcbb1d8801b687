"""What a stranger can put into a run folder or a sweep, and what it would leave behind if it were done."""

import pickle
import sys
from pathlib import Path

import torch
import yaml
from tests.folders import make_run

from lit_dl import records


def code(spoil: Path) -> str:
    """A node that, when it is built, runs code: here, a line of Python that writes a file."""
    line = f"import pathlib; pathlib.Path({spoil.as_posix()!r}).touch()"
    return (
        f"{{_target_: torch.utils.collect_env.run, command: ['{Path(sys.executable).as_posix()}', '-c', \"{line}\"]}}"
    )


def evil_configs(folder: Path, spoil: Path) -> Path:
    """A folder of configs with a model that runs code."""
    (folder / "model").mkdir(parents=True)
    node = {"_target_": "torch.save", "obj": 1, "f": str(spoil), "_partial_": False}
    (folder / "model" / "evil.yaml").write_text(yaml.safe_dump({"_target_": "lit_dl.models.MLP", "hidden": node}))
    return folder


def upwards(folder: Path, conf: Path) -> str:
    """The way from a group of lit_dl's configs to a folder."""
    return "/".join([".."] * (len((conf / "model").parts) - 1) + list(folder.parts[1:]))


# Overrides by what they are about; {code} is a node that runs code, {spoil} a file outside of the folder.
OF_A_RUN = {
    "a nested class": ["data.batch_size={code}"],
    "a class in a list": ["model.hidden=[8,{code}]"],
    "a class in place of another": ["init=he", "init._target_=torch.save", "+init.f={spoil}", "~init.nonlinearity"],
    "a class under a dotted key": ["+model.x._target_=torch.save", "+model.x.obj=1", "+model.x.f={spoil}"],
    "a class with arguments by place": ["+activation.x={_target_: torch.save, _args_: [1, {spoil}]}"],
    "a class that is referred to": ["+x={code}", "data.batch_size=${x}"],
    "a class that is spelt by reference": [
        "+x=torch.save", "+trainer.callbacks={_target_: '${x}', obj: 1, f: {spoil}}"],
    "a plugin of the trainer": ["trainer.plugins={code}"],
    "a callback of the trainer": ["+trainer.callbacks=[{code}]"],
    "a profiler": ["trainer.profiler={_target_: torch.save, obj: 1, f: {spoil}}"],
    "an optimizer's key": ["optimizer.eps={code}"],
    "Hydra's callback": ["+hydra.callbacks.x={_target_: torch.save, obj: 1, f: {spoil}}"],
    "another log": ["hydra.job_logging.handlers.file.filename={spoil}", "hydra.job_logging.handlers.file.delay=false"],
    "a log that is made by anything": ["+hydra.job_logging.handlers.x={\\(\\): torch.save, obj: 1, f: {spoil}}"],
    "Hydra's own log": [
        "hydra/hydra_logging=default",
        "+hydra.hydra_logging.handlers.x={class: logging.FileHandler, filename: {spoil}}"],
    "a place for logs": ["logger.name={spoil}"],
    "a resolver": ["seed='${new_folder:{spoil}}'"],
    "a resolver in a choice": ["model='${new_folder:{spoil}}'"],
    "a resolver behind backslashes": ["seed=$\\{new_folder\\:{spoil}\\}"],
    "the stranger's configs": ["hydra.searchpath=['file://{configs}']", "model=evil"],
    "a choice that leads out": ["model={upwards}/model/evil"],
}  # fmt: skip


# The same of a sweep: its arguments and its jobs.
DIGITS = ["data=digits", "trainer.max_epochs=1", "diagnostics=off"]
OF_A_SWEEP = {
    "configs that were named then": (["-m", "--config-dir={configs}", "data=digits", "model=evil"], {}),
    "configs on the search path": (["-m", "hydra.searchpath=['file://{configs}']", "data=digits", "model=evil"], {}),
    "a run that is a pickle": (["-m", "--experimental-rerun={pickle}", *DIGITS], {}),
    "a value that is swept over": (["-m", *DIGITS, "optimizer.eps=1e-8,{code}"], {}),
    "a job's class": (["-m", *DIGITS], {"0_x": [*DIGITS, "data.batch_size={code}"]}),
    "a job elsewhere": (["-m", *DIGITS], {"../../spoilt": DIGITS}),
    "a job by a whole path": (["-m", *DIGITS], {"{spoil}": DIGITS}),
    "a job with a resolver for a name": (["-m", *DIGITS], {"${new_folder:{spoil}}": DIGITS}),
    "Hydra's callback": (["-m", "+hydra.callbacks.x={_target_: torch.save, obj: 1, f: {spoil}}", *DIGITS], {}),
    "what a sweeper varies": (
        ["-m", "+hydra.sweeper.params.x={_target_: torch.save, obj: 1, f: {spoil}}", *DIGITS], {}),
    "lines for a shell": (["-m", "hydra/launcher=submitit_slurm", "hydra.launcher.setup=['touch {spoil}']"], {}),
    "a database elsewhere": (["-m", "hydra/sweeper=optuna", "hydra.sweeper.storage='sqlite:///{spoil}'"], {}),
}  # fmt: skip


def pickled(file: Path, spoil: Path) -> Path:
    """A pickle that makes a file when it is read."""

    class Touches:
        def __reduce__(self):
            return Path.touch, (spoil,)

    file.write_bytes(pickle.dumps(Touches()))
    return file


def filled(overrides: list[str], tmp_path: Path, conf: Path) -> list[str]:
    """Overrides with the paths of a test."""
    spoil, configs = tmp_path / "spoilt", tmp_path / "stranger"
    if not configs.exists():
        evil_configs(configs, spoil)
    words = {
        "code": code(spoil), "spoil": spoil.as_posix(), "configs": configs.as_posix(),
        "upwards": upwards(configs, conf), "pickle": pickled(configs / "x.pickle", spoil).as_posix(),
    }  # fmt: skip
    for word, value in words.items():
        overrides = [override.replace(f"{{{word}}}", value) for override in overrides]
    return overrides


def run_of(folder: Path, *overrides: str) -> Path:
    """A run that can be gone on with, as far as it was looked at until now; its checkpoint holds nothing."""
    make_run(folder, "data=digits", "trainer.accelerator=cpu", *overrides)
    (folder / records.CHECKPOINTS).mkdir()
    torch.save({"global_step": 0, "epoch": 0, "loops": {}}, records.last_checkpoint(folder))
    return folder


def sweep_of(folder: Path, arguments: list[str], jobs: dict[str, list[str]]) -> Path:
    """A sweep of which nothing has been done."""
    folder.mkdir()
    records.write_sweep(records.SweepRecord(arguments, "val/acc", 0.9, jobs), folder)
    return folder
