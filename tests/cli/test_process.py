"""A command leaves the process as it found it."""

import ctypes
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
import torch

from lit_dl.cli import process
from lit_dl.cli.process import process_put_back, using_threads, wait_for_end_of


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
        (("-m", "data=digits", "trainer.fast_dev_run=true", "data.train_size=1351,100"), 1),
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


@pytest.mark.parametrize("count", [1, 2])
def test_torch_computes_in_as_many_threads_as_asked_for_and_then_as_before(count, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    before = torch.get_num_threads()
    with process_put_back(), using_threads(count):
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (count, str(count))
    assert (torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")) == (before, None)


@pytest.mark.parametrize("count", [None, 0, -1, 10**7, "many", True])
def test_what_is_no_number_of_threads_is_left_to_the_check_of_values(count):
    before = torch.get_num_threads()
    with using_threads(count):
        assert torch.get_num_threads() == before


def test_a_process_whose_parent_is_gone_is_told_so_at_once():
    wait_for_end_of(os.getpid())  # which is nobody's parent here: as when another process has adopted this one


@pytest.mark.parametrize("handle", [7, None])
def test_on_windows_the_parent_itself_is_waited_for_as_its_number_outlives_it(monkeypatch, handle):
    asked = []

    class Kernel:
        """What of Windows' kernel32 is called; a process that is gone has no handle."""

        def __init__(self, name):
            self.OpenProcess = lambda *arguments: asked.append(("open", *arguments)) or handle
            self.WaitForSingleObject = lambda *arguments: asked.append(("wait", *arguments))

    monkeypatch.setattr(ctypes, "WinDLL", Kernel, raising=False)
    monkeypatch.setattr(process.sys, "platform", "win32")
    wait_for_end_of(os.getppid())
    assert asked == [("open", 0x100000, False, os.getppid()), *([("wait", 7, 2**32 - 1)] if handle else [])]
