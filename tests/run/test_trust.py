"""A run folder of a stranger runs no code and leads nowhere, unless one trusts it."""

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from tests.folders import make_run
from tests.run.attacks import OF_A_RUN, OF_A_SWEEP, code, filled, run_of, sweep_of
from tests.runs import CONF, config

from lit_dl import records
from lit_dl.cli.resume import expand_resume
from lit_dl.errors import CommandError
from lit_dl.overrides import is_override
from lit_dl.replay import replay
from lit_dl.report.runs import find
from lit_dl.run.request import as_primitives
from lit_dl.run.trust import check_run, check_sweep
from lit_dl.run.verification import verify

TOO_MUCH = ("lines for a shell", "a database elsewhere")  # to be done here: they ask for a cluster, and for 20 jobs
ALWAYS_REFUSED = (  # whoever asks: such jobs have no folder, and such keys and choices are none
    "a job elsewhere", "a job by a whole path", "a job with a resolver for a name", "a resolver in a choice",
    "a class that is spelt by reference", "a callback of the trainer",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def desk(command, tmp_path, monkeypatch) -> Path:
    """The folder that the user is in; what is above it is none of a stranger's business."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    return tmp_path / "desk"


@pytest.mark.parametrize("attack", OF_A_RUN)
def test_what_a_stranger_s_run_names_is_not_done(command, tmp_path, desk, attack):
    folder = run_of(desk / "run", *filled(OF_A_RUN[attack], tmp_path, CONF))
    before = content(folder)
    result = command(f"resume={folder}")
    assert not (tmp_path / "spoilt").exists()
    assert result.code == 2
    assert "trust=true" in result.err
    assert "Traceback" not in result.err
    assert content(folder) == before
    assert {path.name for path in (*tmp_path.iterdir(), *desk.iterdir())} == {"desk", "run", "stranger"}


@pytest.mark.slow  # each composes, and imports what is to be built
@pytest.mark.filterwarnings("ignore")  # what is built so is no callback, and closes no file
@pytest.mark.parametrize("attack", [name for name in OF_A_RUN if name not in ALWAYS_REFUSED])
def test_each_of_these_is_done_for_who_trusts_the_folder(command, tmp_path, desk, attack):
    folder = run_of(desk / "run", *filled(OF_A_RUN[attack], tmp_path, CONF))
    command(f"resume={folder}", "trust=true")
    assert (tmp_path / "spoilt").exists()


def stranger_s_sweep(attack: str, tmp_path: Path, desk: Path) -> Path:
    arguments, jobs = OF_A_SWEEP[attack]
    named = {filled([name], tmp_path, CONF)[0]: filled(job, tmp_path, CONF) for name, job in jobs.items()}
    return sweep_of(desk / "sweep", filled(arguments, tmp_path, CONF), named)


@pytest.mark.parametrize("attack", OF_A_SWEEP)
def test_what_a_stranger_s_sweep_names_is_not_done(command, tmp_path, desk, attack):
    folder = stranger_s_sweep(attack, tmp_path, desk)
    before = content(folder)
    result = command(f"sweep.resume={folder}")
    assert not (tmp_path / "spoilt").exists()
    assert result.code == 2
    assert "trust=true" in result.err or "has no folder name" in result.err  # see ALWAYS_REFUSED
    assert "Traceback" not in result.err
    assert content(folder) == before
    assert {path.name for path in (*tmp_path.iterdir(), *desk.iterdir())} == {"desk", "sweep", "stranger"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attack", [name for name in OF_A_SWEEP if name not in (*TOO_MUCH, *ALWAYS_REFUSED)])
def test_each_of_these_is_done_for_who_trusts_the_sweep(command, tmp_path, desk, attack):
    folder = stranger_s_sweep(attack, tmp_path, desk)
    with suppress(Exception):  # of what comes after
        command(f"sweep.resume={folder}", "trust=true")
    assert (tmp_path / "spoilt").exists()


@pytest.mark.parametrize("name", ["train.log", ".lock", "metrics.json", "path.png", "checkpoints"])
def test_a_link_that_leads_out_of_the_folder_is_not_followed(command, tmp_path, desk, name):
    folder, outside = run_of(desk / "run"), tmp_path / "outside"
    if (folder / name).is_dir():
        (folder / name).rename(outside)
    else:
        outside.write_text("a thesis")
        (folder / name).unlink(missing_ok=True)
    before = outside.read_text() if outside.is_file() else content(outside)
    try:
        (folder / name).symlink_to(outside)
    except OSError:
        pytest.skip("this system makes no links")
    result = command(f"resume={folder}")
    assert (outside.read_text() if outside.is_file() else content(outside)) == before
    assert result.code == 2
    assert f"{name} leads to {outside}" in result.err
    assert (folder / name).is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_folder_is_not_waited_for(tmp_path):
    folder = run_of(tmp_path / "run")
    os.mkfifo(folder / "curves.json")
    with pytest.raises(CommandError, match=r"curves\.json is no ordinary file"):
        expand_resume([f"resume={folder}"])


@pytest.mark.parametrize(
    "overrides",
    [["trainer.max_epochs='${oc.env:LIT_DL_SECRET}'"], ["logger.name=$LIT_DL_SECRET"], ["logger.name=%LIT_DL_SECRET%"]],
    ids=" ".join,
)
def test_environment_variables_are_not_given_to_a_stranger_s_config(command, desk, monkeypatch, overrides):
    monkeypatch.setenv("LIT_DL_SECRET", "not-for-you")
    folder = run_of(desk / "run", *overrides)
    result = command(f"resume={folder}")
    assert "asks for more than the config has" in result.err
    assert "not-for-you" not in result.out + result.err
    assert not list(desk.rglob("*not-for-you*"))


def test_a_folder_is_not_named_like_a_variable(command, desk, monkeypatch):
    monkeypatch.setenv("LIT_DL_SECRET", "not-for-you")
    folder = run_of(desk / "run$LIT_DL_SECRET")
    assert "rename it" in command(f"resume={folder}").err
    assert not list(desk.rglob("*not-for-you*"))


def test_a_report_resolves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LIT_DL_SECRET", "not-for-you")
    asks = "${oc.env:LIT_DL_SECRET}"
    folder = make_run(tmp_path / "run", f"seed={asks}", config={"seed": asks})
    (job,) = find([folder]).jobs
    assert job.settings["seed"] == asks


OUT = [
    "/etc",
    "../x",
    "a/../../x",
    "~/x",
    "//server/share",
    "http://x/",
    *([r"C:\x", r"\\server\share"] if os.name == "nt" else []),
]


@pytest.mark.parametrize("value", OUT)
def test_an_address_or_a_path_that_leads_out_is_named(tmp_path, value):
    with pytest.raises(ValueError, match="leads out of the folder"):
        check_run(tmp_path, [f"data.mirrors=['{value}']"], [])


SHARES = ["//server/share/my.npz", "http://x/my.npz", *([r"\\server\share"] if os.name == "nt" else [])]


@pytest.mark.parametrize("value", SHARES)
def test_data_is_read_from_no_other_machine(tmp_path, value):
    with pytest.raises(ValueError, match="leads out of the folder"):
        check_run(tmp_path, [f"data.path='{value}'"], [])


IN = [
    "data.path=my.npz",
    "data.path={here}/my.npz",
    "data.path=/data/my.npz",  # is only read
    "data.base.path=../my.npz",
    "data.root={data}/x",
    "sweep.metric=val/acc",
    "trainer.max_time='00:01'",
]


@pytest.mark.parametrize("override", IN)
def test_paths_below_the_folder_one_is_in_and_the_user_s_data_are_not(tmp_path, monkeypatch, override):
    monkeypatch.setenv("LIT_DL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    check_run(tmp_path / "run", [override.format(here=tmp_path, data=tmp_path / "data")], [])


def commands(page: Path) -> list[list[str]]:
    """The arguments of each training in a page."""
    lines = re.findall(r"python -m lit_dl\.train (.*)", page.read_text(encoding="utf-8"))
    return [shlex.split(line.partition("`")[0], comments=True) for line in lines]


@pytest.mark.parametrize("page", ["README.md", "docs/course.md", "docs/reference.md"])
def test_no_command_of_the_pages_needs_trust_to_be_gone_on_with(tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    found = [typed for typed in commands(ROOT / page) if not re.search(r"resume=|\[key", " ".join(typed))]
    jobs = {str(number): [word for word in typed if is_override(word)] for number, typed in enumerate(found)}
    assert jobs
    check_sweep(tmp_path, ["-m"], jobs, [])


def test_what_is_found_is_said_in_one_message_that_steers_no_terminal(tmp_path):
    overrides = ["data.x='\x1b[2J/../..'", *(f"model.x{n}=/y" for n in range(20)), "model._target_=os.system"]
    with pytest.raises(ValueError, match="add trust=true") as raised:
        check_run(tmp_path, overrides, [])
    assert str(raised.value).splitlines()[1] == "  model builds os.system"
    assert "and 2 more" in str(raised.value)
    assert "data.x=?[2J/../.." in str(raised.value)
    assert "\x1b" not in str(raised.value)


@pytest.fixture
def configs(tmp_path) -> Path:
    """The user's own folder of configs."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "residual.yaml").write_text(yaml.safe_dump({"_target_": "my_model.Residual"}))
    return tmp_path / "mine"


def test_what_a_folder_of_configs_names_that_is_typed_now_may_be_built(tmp_path, configs):
    folder = run_of(tmp_path / "run", "model._target_=my_model.Residual")
    assert f"--config-dir={configs}" in expand_resume([f"resume={folder}", "--config-dir", str(configs)])
    with pytest.raises(CommandError, match=r"model builds my_model\.Residual"):
        expand_resume([f"resume={folder}"])


def test_a_sweep_with_the_user_s_own_configs_goes_on_if_they_are_typed_again_or_trusted(tmp_path, configs):
    folder = sweep_of(tmp_path / "sweep", ["-m", f"--config-dir={configs}", "model=residual"], {"0_x": ["seed=1"]})
    with pytest.raises(CommandError, match="if it is yours: name it again"):
        expand_resume([f"sweep.resume={folder}"])
    again = expand_resume([f"sweep.resume={folder}", f"--config-dir={configs}"])
    trusted = expand_resume([f"sweep.resume={folder}", "trust=true"])
    assert sorted(again) == sorted(trusted)
    moved = expand_resume([f"sweep.resume={folder}", f"--config-dir={tmp_path}"])
    assert f"--config-dir={configs}" not in moved


def test_a_folder_of_configs_does_not_make_its_other_folders_known(tmp_path, configs):
    evil = make_run(configs / "evil", "+evil=evil")
    (evil / "evil.yaml").write_text("# @package _global_\nmodel: {_target_: os.system}\n")
    for overrides, word in ((["+evil=evil"], "no group"), (["model._target_=os.system"], r"builds os\.system")):
        with pytest.raises(ValueError, match=word):
            check_run(evil, overrides, [configs])


def test_trust_is_never_taken_from_the_folder(tmp_path):
    folder = run_of(tmp_path / "run", "trust=true", "model._target_=os.system")
    with pytest.raises(CommandError, match=r"builds os\.system"):
        expand_resume([f"resume={folder}"])
    assert "trust=true" not in expand_resume([f"resume={folder}", "trust=true"])


def test_a_cluster_s_pickles_in_a_sweep_are_named(tmp_path):
    folder = sweep_of(tmp_path / "sweep", ["-m"], {})
    (folder / ".submitit").mkdir()
    with pytest.raises(ValueError, match=r"\.submitit has pickles"):
        check_sweep(folder, ["-m"], {}, [])


def test_torch_s_families_and_a_set_inside_another_need_no_trust(tmp_path):
    chosen = ["activation._target_=torch.nn.Mish", "data=kfold", "data@data.base=mnist", "data.base.train_size=9"]
    expand_resume([f"resume={run_of(tmp_path / 'run', *chosen)}"])
    with pytest.raises(CommandError, match="where it does not belong"):
        expand_resume([f"resume={run_of(tmp_path / 'other', 'data@model=mnist')}"])


@pytest.mark.parametrize("overrides", ["7", "x: 1", "[1]", "- {a: 1}", "x: [", "[" * 999 + "]" * 999])
def test_what_is_no_list_of_overrides_is_damaged(tmp_path, overrides):
    folder = run_of(tmp_path / "run")
    (folder / ".hydra" / "overrides.yaml").write_text(overrides)
    with pytest.raises(CommandError, match="damaged"):
        expand_resume([f"resume={folder}"])


def test_an_override_that_is_nested_too_deep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read as an override"):
        check_run(tmp_path, ["x=" + "[" * 900 + "]" * 900], [])


def test_nothing_reaches_a_shell():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert not re.search(
        r"shell=|os\.system|os\.popen|getoutput|(?<![.\w])(eval|exec)\(|pickle\.load|from pickle", source
    )


@pytest.mark.parametrize("where", ["the config", "the receipt", "the overrides"])
def test_what_a_stranger_s_run_names_is_not_verified(tmp_path, desk, where):
    folder, spoilt = run_of(desk / "run"), tmp_path / "spoilt"
    node = yaml.safe_load(code(spoilt))
    good, bad = as_primitives(config("data=digits")), as_primitives(config("data=digits", f"+x={code(spoilt)}"))
    assert bad["x"] == node
    records.write_config(yaml.safe_dump(bad if where == "the config" else good), [], folder)
    overrides = ["data=digits", *([f"data.batch_size={code(spoilt)}"] if where == "the overrides" else [])]
    steps = [records.StepReceipt([(1.0).hex()], {})]
    receipt = records.ReceiptRecord(bad if where == "the receipt" else good, overrides, steps=steps)
    records.write_receipt(receipt, folder)
    with pytest.raises(ValueError, match=r"(?s)torch\.utils\.collect_env\.run.*--trust"):
        verify(folder, ())
    if where == "the config":
        with pytest.raises(ValueError, match=r"(?s)torch\.utils\.collect_env\.run.*--trust"):
            replay(folder)
    assert not spoilt.exists()
