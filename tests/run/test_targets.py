"""The list of what a run folder may build is that of the YAML files, by group, and of torch's own families."""

import re
from importlib import import_module

import pytest
import torch
import yaml
from tests.runs import CONF
from torch import nn

from lit_dl.run.targets import FAMILIES, known

KINDS = {
    "activation": nn.Module,
    "loss": nn.Module,
    "optimizer": torch.optim.Optimizer,
    "scheduler": (torch.optim.lr_scheduler.LRScheduler, torch.optim.lr_scheduler.ReduceLROnPlateau),
}
HOMES = ("torch.nn", "torch.nn.init", "torch.optim", "torch.optim.lr_scheduler")


@pytest.mark.parametrize("group", FAMILIES)
def test_each_name_of_a_family_is_of_the_group_s_own_kind(group):
    names = {
        f"{home}.{name}": getattr(import_module(home), name) for home in HOMES for name in dir(import_module(home))
    }
    family = {name: found for name, found in names.items() if re.fullmatch(FAMILIES[group], name)}
    assert len(family) > 10
    for name, found in family.items():
        if group == "init":
            assert found.__module__ == "torch.nn.init", name
        else:
            assert issubclass(found, KINDS[group]), name


def test_each_class_of_lit_dl_s_yaml_is_known_in_its_group_and_in_no_other():
    names = known()
    for path in (path for group in names.groups for path in (CONF / group).rglob("*.yaml")):
        group, content = path.relative_to(CONF).parts[0], yaml.safe_load(path.read_text())
        if isinstance(content, dict) and (target := content.get("_target_")):
            assert names.allows(group, target)
            assert not names.allows(f"{group}.x", target)
            assert not any(names.allows(other, target) for other in names.groups - {group, "activation"})
    assert names.allows("hardware", "lit_dl.hardware.speed.compare")  # named in an experiment
    assert names.allows("data.base", "lit_dl.data.Digits")


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("data", "torch.utils.collect_env.run"),
        ("optimizer", "torch.optim.swa_utils.AveragedModel"),
        ("optimizer", "torch.optim.sys"),
        ("activation", "torch.nn.modules.module.os"),
        ("activation", "torch.nn.Parameter"),
        ("init", "torch.nn.init._no_grad_fill_"),
        ("init", "torch.save"),
        ("loss", "torch.nn.Linear"),
        ("model", "lit_dl.models.summary.layer_table"),
        ("model", "lit_dl.models"),
        ("logger", "lightning.pytorch.loggers.CSVLogger"),
        ("model", ["lit_dl.models.MLP"]),
        ("", "lit_dl.models.MLP"),
    ],
)
def test_what_is_only_in_the_same_package_is_not_known(key, target):
    assert not known().allows(key, target)


def test_the_files_of_a_folder_of_one_s_own_are_read_too_wherever_they_put_a_class(tmp_path):
    for name, content in {
        "optimizer/mine.yaml": {"_target_": "my.Optimizer", "inner": {"_target_": "my.Inner"}},
        "experiment/x.yaml": {"model": {"_target_": "my.Model"}, "hydra": {"callbacks": {"x": {"_target_": "my.C"}}}},
        "model/pair.yaml": {"defaults": ["mlp", {"/model@left": "cnn"}], "_target_": "my.Pair"},
        "elsewhere/x.yaml": {"_target_": "my.Elsewhere"},
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        header = "# @package _global_\n" if "experiment" in name else ""
        (tmp_path / name).write_text(header + yaml.safe_dump(content))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/wrong.yaml").write_text("x: [")
    (tmp_path / "data/list.yaml").write_text("- 1")
    names = known([tmp_path])
    assert names.allows("optimizer", "my.Optimizer")
    assert names.allows("optimizer.inner", "my.Inner")
    assert names.allows("model", "my.Model")
    assert names.allows("model.left", "lit_dl.models.CNN")
    assert not names.allows("optimizer.inner", "my.Optimizer")
    assert not names.allows("elsewhere", "my.Elsewhere")
    assert not names.allows("callbacks.x", "my.C")
    assert not names.allows("hydra.callbacks.x", "my.C")
