"""Whatever is typed for whichever key: one message with the key, exit code 0, 1 or 2, no hang, nothing left behind."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.bad_input import SMALL, Answer, Hang, Key, ask, check, keys, watchdog
from tests.runs import choices

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore")]  # what torch warns of is not asked here

MEMORY = 2**28  # bytes that the machine is said to have, so that nothing large is ever held
HEADROOM = 2**32  # and what this process may take beside what it has
KEYS = keys()
TEXTS = (
    "abc", "''", "null", "true", "-1", "0", "1", "0.5", "-0.5", "1000000000", "1e30", "-1e30", "9" * 30, "nan", "inf",
    "-inf", "[]", "[0]", "[1,2]", "[abc,null]", "{}", "{a:1}", "'ü→😀'", "'a b [bold]x %s {y}'", "'../..'", "${seed}",
    "${nothing}", "'${oc.env:HOME}'", "'${oc.env:NOT_SET_ANYWHERE}'",
)  # fmt: skip
GROUPS = ("data", "model", "activation", "init", "optimizer", "scheduler", "loss", "early_stopping", "diagnostics")
QUICK_DATA = ["digits", "kfold", "none", "regression", "spiral"]  # the others are files of the user's, or downloads


def quoted(text: str) -> str:
    """Text as Hydra's grammar takes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


VALUES = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(TEXTS),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="$"), max_size=20).map(quoted),
)


def starts_processes(key: Key, value: str) -> bool:
    """What would be right, and train on several processes, or compile a network."""
    return (key.name == "trainer.devices" and value.isdecimal() and 1 < int(value) < 10_000) or (
        key.name == "compile" and value == "true"
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in a folder, both empty but for data, with no network, little memory, and a home of its own."""
    root = tmp_path_factory.mktemp("bad")
    cwd = root / "a" / "b"
    cwd.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setenv("HOME", str(root))
        patch.delenv("LIT_DL_DATA_DIR", raising=False)
        patch.setattr("lit_dl.data.web._opener", _no_network)
        patch.setattr("lit_dl.devices.machine_memory", lambda: MEMORY)
        random = np.random.default_rng(0)
        np.savez("my.npz", x=random.random((40, 3)), y=np.arange(40) % 4)
        for name in ("cat", "dog"):
            np.save(f"{name}.npy", random.integers(0, 255, (20, 784), dtype=np.uint8))
        with _little_memory():
            yield root


def _no_network(*_, **__):
    raise OSError("there is no network in this test")


class _little_memory:  # noqa: N801  # a context, as contextlib's
    """So that what would take all memory fails, where the system can hold a process to less."""

    def __enter__(self) -> None:
        if sys.platform != "linux":
            return
        import resource

        self.before = resource.getrlimit(resource.RLIMIT_DATA)
        used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + HEADROOM, self.before[1]))

    def __exit__(self, *_: object) -> None:
        if sys.platform == "linux":
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, self.before)


def few_and_many(few: int, many: int) -> Callable:
    """The same property with few examples, and as a slow test with many; always the same ones."""
    common = {
        "deadline": None, "database": None, "phases": (Phase.explicit, Phase.generate), "print_blob": True,
        "suppress_health_check": list(HealthCheck),
    }  # fmt: skip
    return pytest.mark.parametrize(
        "profile",
        [
            pytest.param(settings(max_examples=few, derandomize=True, **common), id="few"),
            pytest.param(settings(max_examples=many, derandomize=True, **common), id="many", marks=pytest.mark.slow),
        ],
    )


@few_and_many(6, 120)
def test_any_value_of_any_key(place, profile):
    @profile
    @given(st.sampled_from(KEYS), VALUES)
    def holds(key, value):
        if not starts_processes(key, value):
            answer = ask([*SMALL, *key.context, f"{key.name}={value}"], place)
            last = key.name.rpartition(".")[2]
            check(answer, last, "''" if key.name.startswith("hydra") else value)

    holds()


@few_and_many(2, 30)
def test_any_key_that_is_added_or_deleted(place, profile):
    @profile
    @given(st.sampled_from(KEYS), st.sampled_from(["~", "+", "++"]), st.sampled_from(["", "_", ".x"]), VALUES)
    def holds(key, sign, ending, value):
        if not starts_processes(key, value):
            override = f"~{key.name}" if sign == "~" else f"{sign}{key.name}{ending}={value}"
            check(ask([*SMALL, *key.context, override], place), key.name.rpartition(".")[2])

    holds()


@few_and_many(2, 30)
def test_any_combination_of_choices(place, profile):
    chosen = {group: st.sampled_from(QUICK_DATA if group == "data" else choices(group)) for group in GROUPS}

    @profile
    @given(st.fixed_dictionaries(chosen))
    def holds(picked):
        small = [override for override in SMALL if not override.startswith("diagnostics")]
        check(ask([*small, *(f"{group}={choice}" for group, choice in picked.items())], place))

    holds()


def test_keys_of_every_group_are_asked_for():
    groups = {key.name.partition(".")[0] for key in KEYS}
    assert groups >= {*GROUPS, "trainer", "logger", "sweep", "hydra", "hardware", "seed", "dropout", "l1", "resume"}
    assert Key("data.turns", ("data=spiral", "data.points=12", "model.hidden=[8]")) in KEYS


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="where no signal can end it, the process is ended")
def test_a_hang_is_seen():
    with pytest.raises(Hang, match="no end"), watchdog(0.05):
        time.sleep(30)


def test_a_raw_error_and_a_folder_that_is_left_are_seen(place, monkeypatch):
    def raw(request):
        raise KeyError("of lit_dl itself")

    monkeypatch.setattr("lit_dl.train.build", raw)
    answer = ask([*SMALL, "data=digits"], place)
    assert answer.code == 1
    assert answer.left
    with pytest.raises(AssertionError):
        check(answer)
    with pytest.raises(AssertionError):
        check(Answer(2, "error: seed", ["outputs"]), "seed")
    with pytest.raises(AssertionError):
        check(Answer(2, "error: no", []), "seed")
    with pytest.raises(AssertionError):
        check(Answer(2, "error: seed", []), "seed", "-1")
