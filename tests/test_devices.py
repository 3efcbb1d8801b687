"""What cannot fit into this machine's memory is refused before any of it is taken."""

import os

import pytest

from lit_dl.data import RandomRegression, Spiral
from lit_dl.devices import check_memory, machine_memory
from lit_dl.models import CNN, SharedMLP


def test_what_is_more_than_the_machine_has_is_told_with_both_numbers(monkeypatch):
    monkeypatch.setattr("lit_dl.devices.machine_memory", lambda: 3 * 2**30)
    check_memory("it", 3 * 2**30, "Take less")
    with pytest.raises(ValueError, match=r"^it would take 6\.0 GiB, and this machine has 3\.0 GiB\. Take less$"):
        check_memory("it", 6 * 2**30, "Take less")


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="asked in another way there")
def test_the_machine_says_what_it_has():
    assert 2**28 < machine_memory() < 2**50


def test_where_the_system_does_not_say_nothing_is_refused(monkeypatch):
    monkeypatch.setattr("lit_dl.devices.machine_memory", lambda: None)
    check_memory("it", 2**80, "Take less")


TOO_LARGE = [
    (lambda: Spiral(points=10**12), r"points=1,000,000,000,000 of classes=3 would take .* GiB"),
    (lambda: Spiral(classes=2001), "2,001 classes, at most 2,000 are allowed"),
    (lambda: RandomRegression(features=10**10), "features=10,000,000,000 .* GiB"),
    (lambda: SharedMLP((2,), 2, depth=10**9), "depth is .* to 10000"),
    (lambda: CNN((1, 8, 8), 10, padding=10**7), "channels of .* GiB.* less padding"),
]


@pytest.mark.parametrize(("make", "message"), TOO_LARGE, ids=[message for _, message in TOO_LARGE])
def test_sizes_that_no_machine_holds_are_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()
