"""Where two receipts part, and what is no receipt."""

import json

import pytest

from lit_dl import records
from lit_dl.records import ReceiptRecord, StepReceipt, differing_keys, first_difference

ONE = StepReceipt(["0x1.0p+1"], {"01_linear": "aa", "02_linear": "bb"})
OTHER_LAYER = StepReceipt(["0x1.0p+1"], {"01_linear": "aa", "02_linear": "cc"})
OTHER_LOSS = StepReceipt(["0x1.0000000000001p+1"], {"01_linear": "aa", "02_linear": "bb"})


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ([ONE, ONE], None),
        ([ONE, OTHER_LAYER], (2, None, ["02_linear"])),
        ([OTHER_LOSS, OTHER_LAYER], (1, ("0x1.0p+1", "0x1.0000000000001p+1"), [])),
        ([ONE, StepReceipt(["0x1.0p+1"], {"01_linear": "aa"})], (2, None, ["02_linear"])),
        ([ONE, StepReceipt([], ONE.layers)], (2, ("0x1.0p+1", "none"), [])),
        ([ONE], (2, None, ["01_linear", "02_linear"])),
    ],
    ids=["same", "layer", "loss", "layer_missing", "loss_missing", "step_missing"],
)
def test_the_first_step_that_differs_is_named(again, expected):
    assert first_difference([ONE, ONE], again) == expected


def test_keys_that_differ_are_named_whole():
    one = {"seed": 0, "optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}, "data": {"base": {}}, "only": 1}
    other = {"seed": 0, "optimizer": {"lr": 0.2, "betas": [0.9, 0.99]}, "data": {"base": {"x": 3}}}
    assert differing_keys(one, other) == {
        "optimizer.lr": (0.1, 0.2), "data.base": ({}, None), "only": (1, None), "data.base.x": (None, 3)
    }  # fmt: skip


def test_what_was_written_is_read_and_what_a_newer_one_adds_is_kept(tmp_path):
    receipt = ReceiptRecord({"seed": 1}, ["seed=1"], threads=3, steps=[ONE, OTHER_LOSS], unknown={"newer": [1]})
    records.write_receipt(receipt, tmp_path)
    assert records.read_receipt(tmp_path) == receipt


@pytest.mark.parametrize(
    "harm",
    [
        {"steps": [3]},
        {"steps": [{"losses": ["two"], "layers": {}}]},
        {"steps": [{"losses": [2.0], "layers": {}}]},
        {"steps": [{"losses": [], "layers": []}]},
        {"steps": {}},
        {"threads": 0},
        {"threads": 10**12},
        {"processes": "2"},
        {"overrides": [1]},
        {"config": {}},
        {"config": "seed: 0"},
    ],
    ids=str,
)
def test_a_damaged_one_is_said_to_be(tmp_path, harm):
    records.write_receipt(ReceiptRecord({"seed": 1}, ["seed=1"], steps=[ONE]), tmp_path)
    path = tmp_path / records.RECEIPT_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **harm}))
    with pytest.raises(ValueError, match=r"receipt\.json is damaged, or no record of a run.s first steps: "):
        records.read_receipt(tmp_path)
