"""Devices are timed alike, and the conclusion says from which size on an accelerator wins."""

import time
from pathlib import Path

import pytest
import torch

from lit_dl import records
from lit_dl.devices import describe_device
from lit_dl.hardware.speed import conclusion, draw, wins_from
from lit_dl.hardware.timing import devices, seconds_per_call
from lit_dl.report.__main__ import main as report

QUICK = ("hardware.batch_sizes=[16,128]", "hardware.sizes=[16,32]", "model.hidden=[20]")
NAMES = {"cpu": "cpu (2 threads)", "cuda:0": "cuda:0 (NVIDIA H100)"}


@pytest.mark.slow
def test_a_call_takes_as_long_as_it_sleeps():
    taken = seconds_per_call(lambda: time.sleep(0.01))
    assert 0.01 <= taken < 0.03  # on a busy machine one wakes up late


def test_a_call_is_timed_many_times_with_as_many_threads_as_torch_uses():
    before, threads = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        assert seconds_per_call(lambda: threads.append(torch.get_num_threads())) > 0
    finally:
        torch.set_num_threads(before)
    assert len(threads) > 100
    assert set(threads) == {2}  # torch's Timer would take one


def test_a_size_from_which_the_accelerator_wins_is_that_from_which_it_always_does():
    assert wins_from({64: 1.0, 128: 2.0, 256: 8.0}, {64: 3.0, 128: 1.5, 256: 2.0}) == 128
    assert wins_from({64: 5.0, 128: 2.0, 256: 8.0}, {64: 3.0, 128: 2.5, 256: 2.0}) == 256
    assert wins_from({64: 1.0, 128: 2.0}, {64: 3.0, 128: 2.5, 256: 2.0}) is None
    assert wins_from({64: 1.0}, {64: 0.5, 128: 0.6}) == 64


def test_the_conclusion_names_the_size_and_the_gain_or_says_that_there_is_no_accelerator():
    steps = {"cpu": {64: 1.0, 512: 8.0}, "cuda:0": {64: 2.0, 512: 2.0}}
    products = {"cpu": {64: 1.0}, "cuda:0": {64: 2.0}}
    assert conclusion(steps, products, NAMES) == [
        "cuda:0 (NVIDIA H100) wins a training step, from batch size 512 on (4.0 times as fast there).",
        "cuda:0 (NVIDIA H100) does not win a matrix product of any size that was tried.",
    ]
    alone = conclusion({"cpu": steps["cpu"]}, {"cpu": {1000: 0.01}}, {"cpu": "cpu (2 threads)"})
    assert alone[0].startswith("No accelerator here")
    assert "200 GFLOP/s" in alone[1]  # 2 * 1000^3 / 0.01 s


def test_the_picture_has_a_line_for_each_device():
    times = {"cpu": {64: 0.001, 128: 0.008}, "cuda:0": {64: 0.002, 128: 0.002}}
    steps, products = draw(times, times, NAMES).axes
    assert [line.get_label() for line in products.lines] == list(NAMES.values())
    assert products.lines[0].get_ydata().tolist() == [1.0, 8.0]  # ms
    assert steps.lines[1].get_ydata().tolist() == [32_000, 64_000]


def test_the_experiment_times_each_device_and_leaves_a_record_and_a_picture(command):
    result = command("experiment=devices", *QUICK)
    assert result.code == 0, result.err
    record = result.record
    assert (record.status, record.steps) == ("completed", 0)
    for device in map(str, devices()):
        for size in (16, 64, 128):  # 64: the data's own batch size
            assert record.metrics[f"step/{device}/{size}/samples_per_second"] == pytest.approx(
                1000 * size / record.metrics[f"step/{device}/{size}/ms"]
            )
        milliseconds = record.metrics[f"matmul/{device}/32/ms"]
        assert record.metrics[f"matmul/{device}/32/gflops"] == pytest.approx(2 * 32**3 / milliseconds / 1e6)
        assert describe_device(torch.device(device)) in result.out
    assert (result.folder / "devices.png").is_file()
    if len(devices()) == 1:
        assert "No accelerator here" in result.out


@pytest.mark.slow
def test_a_sweep_of_it_and_a_report_over_it_work(command):
    assert command("-m", "experiment=devices", *QUICK, "data.batch_size=8,32").code == 0
    statuses = [records.read_run(path.parent).status for path in Path("outputs").rglob("metrics.json")]
    assert statuses == ["completed", "completed"]
    assert report(["outputs"]) == 0


@pytest.mark.slow
def test_the_time_of_a_large_product_grows_with_the_cube_of_n(command):
    sizes = "hardware.sizes=[512,2048]"
    metrics = command("experiment=devices", "hardware.batch_sizes=[16]", sizes).record.metrics
    growth = metrics["matmul/cpu/2048/ms"] / metrics["matmul/cpu/512/ms"]
    assert 20 < growth < 200  # 64 = 4^3, and not 16 = 4^2; other programs take their share of the machine


@pytest.mark.slow
@pytest.mark.skipif(len(devices()) == 1, reason="this machine has no accelerator")
def test_an_accelerator_loses_the_least_product_and_wins_the_greatest(command):
    metrics = command("experiment=devices").record.metrics
    device = str(devices()[1])
    assert 64 < metrics[f"matmul/{device}/wins_from"] <= 4096
