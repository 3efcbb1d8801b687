"""Numbers come back in the order in which they were given, to those who gave them."""

import math
import warnings

import pytest
import torch

from lit_dl.diagnostics.transfer import Transfer


def test_each_handle_has_its_own_numbers_in_their_order():
    transfer = Transfer()
    first = transfer.add([torch.tensor(3), torch.tensor(1.5), torch.tensor(9.0)])
    none = transfer.add([])
    named = transfer.add_named({"b": torch.tensor(0.25), "a": torch.tensor(-7.0)})
    transfer.fetch()
    assert (first.values, none.values) == ([3, 1.5, 9], [])
    assert (named["a"], named["b"]) == (-7.0, 0.25)


def test_without_numbers_nothing_is_fetched():
    Transfer().fetch()


def test_numbers_on_the_cpu_keep_their_precision_and_what_is_not_finite_comes_too():
    third = torch.tensor(1 / 3, dtype=torch.float64)
    transfer = Transfer()
    handle = transfer.add([third, torch.tensor(-math.inf), torch.tensor(math.nan)])
    transfer.fetch()
    assert handle.values[:2] == [1 / 3, -math.inf]
    assert math.isnan(handle.values[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_a_device_is_waited_for_once():
    transfer = Transfer()
    handles = [transfer.add([torch.tensor(float(n), device="cuda"), torch.tensor(n, device="cuda")]) for n in range(9)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")  # says so too, that it is a prototype
        transfer.fetch()
        torch.cuda.set_sync_debug_mode("default")
    assert sum("called a synchronizing CUDA operation" in str(each.message) for each in said) == 1
    assert [handle.values for handle in handles] == [[n, n] for n in range(9)]
