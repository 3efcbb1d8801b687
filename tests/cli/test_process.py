"""A command leaves the process as it found it."""

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from lit_dl.cli.process import process_put_back


def state() -> tuple:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    variables = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}  # has the phase
    return list(sys.argv), variables, handlers, logging.raiseExceptions


def change_everything() -> None:
    sys.argv[1:] = ["other", "arguments"]
    os.environ["LIT_DL_NEW"] = "1"
    os.environ["LIT_DL_OLD"] = "changed"
    del os.environ["LIT_DL_GONE"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.raiseExceptions = False


@pytest.fixture
def own_state(monkeypatch):
    """A process that differs from a fresh one in all that a command may change."""
    monkeypatch.setattr(sys, "argv", ["program", "mine"])
    monkeypatch.setenv("LIT_DL_OLD", "old")
    monkeypatch.setenv("LIT_DL_GONE", "here")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: None)
    yield state()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_a_block_changed_is_put_back(own_state):
    with process_put_back():
        change_everything()
        assert state() != own_state
    assert state() == own_state


def test_it_is_put_back_after_an_error_too_and_the_error_goes_on(own_state):
    def broken() -> None:
        with process_put_back():
            change_everything()
            raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        broken()
    assert state() == own_state


def test_blocks_lie_within_each_other(own_state):
    with process_put_back():
        sys.argv[1:] = ["outer"]
        os.environ["LIT_DL_OLD"] = "outer"
        with process_put_back():
            change_everything()
        assert (sys.argv[1:], os.environ["LIT_DL_OLD"]) == (["outer"], "outer")
    assert state() == own_state


def test_a_thread_which_cannot_set_signals_puts_the_rest_back(own_state):
    failures = []

    def block() -> None:
        try:
            with process_put_back():
                sys.argv[1:] = ["of a thread"]
                logging.raiseExceptions = False
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert failures == []
    assert state() == own_state


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        (("data=digits", "trainer.fast_dev_run=true"), 0),
        (("data=digits", "optimizer.lrr=1"), 2),
        (("-m", "data=digits", "trainer.fast_dev_run=true", "dropout=2,0.5"), 1),
    ],
    ids=["done", "wrong", "a sweep with a failed job"],
)
def test_a_command_leaves_arguments_variables_signals_and_logging_as_they_were(command, own_state, overrides, code):
    assert command(*overrides).code == code
    assert state() == own_state


def test_a_run_that_breaks_leaves_them_as_they_were(command, own_state, monkeypatch):
    def broken(request):
        change_everything()
        raise RuntimeError("the run broke")

    monkeypatch.setattr("lit_dl.train.train", broken)
    assert command("data=digits").code == 1
    assert state() == own_state


def test_a_command_leaves_no_log_open(command):
    folder = command("data=digits", "trainer.max_epochs=1", "logger=off", "diagnostics=off").folder
    assert (folder / "train.log").is_file()
    files = [Path(h.baseFilename) for h in logging.getLogger().handlers if isinstance(h, logging.FileHandler)]
    assert folder.resolve() / "train.log" not in [file.resolve() for file in files]
