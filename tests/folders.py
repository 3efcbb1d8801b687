"""Run folders made by hand, so that what is said of them is known beforehand."""

import json
from pathlib import Path

import yaml

from lit_dl import records

HEALTHY = records.Finding("healthy", 1, [], "gradients reach every layer", {})


def make_run(
    folder: Path,
    *overrides: str,
    status: str = "completed",
    metrics: dict | None = None,
    curves: records.CurvesRecord | None = None,
    config: dict | None = None,
    choices: dict | None = None,
    **record,
) -> Path:
    """A run folder with what a report reads."""
    hydra = folder / records.HYDRA_FOLDER
    hydra.mkdir(parents=True)
    (hydra / "config.yaml").write_text(yaml.safe_dump(config or {"seed": 0, "optimizer": {"lr": 0.1}}))
    (hydra / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
    content = records.RunRecord(
        status, "why", metrics or {}, overrides=list(overrides), choices=choices or {}, **record
    )
    records.write_run(content, folder)
    if curves is not None:
        records.write_curves(curves, folder)
    return folder


def make_many(top: Path, count: int) -> None:
    """Many runs of 20 epochs, with two settings of their own each; written without waiting for the disk."""
    config = yaml.safe_dump({f"key{number}": {"a": [1, 2, 3], "b": "text"} for number in range(40)})  # as long as usual
    columns = ("step", "epoch", "seconds", "val/acc", "train/loss", "val/loss", "train/acc", "val/f1", "train/f1")
    for number in range(count):
        hydra = top / f"{number}" / records.HYDRA_FOLDER
        hydra.mkdir(parents=True)
        lr, optimizer = number / 1000 + 0.001, f"of_my_own_{number % 97}"
        overrides = [f"optimizer.lr={lr}", f"optimizer={optimizer}", f"seed={number % 3}"]
        (hydra / "config.yaml").write_text(f"{config}optimizer:\n  lr: {lr}\nseed: {number % 3}\n")
        record = {
            "schema": 1, "status": "diverged" if number % 50 == 0 else "completed", "stop_reason": "why",
            "metrics": {f"{part}/{name}": number / count for part in ("train", "val", "train_eval", "test")
                        for name in ("acc", "loss", "f1", "top5")},
            "diagnosis": [HEALTHY.as_json()], "epochs": 20, "steps": 2000, "seconds": 3.5, "overrides": overrides,
            "choices": {"optimizer": optimizer, "data": "digits"},
        }  # fmt: skip
        points = {name: [(1 + epoch) / (20 + number) for epoch in range(20)] for name in columns}
        flow = [[-2.0 + layer / 10] * 100 for layer in range(5)]
        curves = {"points": points, "layers": list("abcde"), "log10_rms": flow, "steps": 2000}
        (top / f"{number}" / records.METRICS_FILE).write_text(json.dumps(record, indent=2))
        (top / f"{number}" / records.CURVES_FILE).write_text(json.dumps(curves))


def make_sweep(folder: Path, accuracies: dict[tuple[float, int], float | None]) -> Path:
    """A sweep over optimizer.lr and seed: validation accuracy by (lr, seed); None is a job that failed."""
    jobs = {}
    for number, ((lr, seed), accuracy) in enumerate(accuracies.items()):
        overrides = [f"optimizer.lr={lr}", f"seed={seed}"]
        name = f"{number}_lr={lr}_seed={seed}"
        jobs[name] = overrides
        curves = records.CurvesRecord(
            {"step": [1, 2], "epoch": [1.0, 2.0], "seconds": [0.5, 1.5], "val/acc": [0.1, accuracy],
             "train/loss": [2.0, 1.0]},
            ["01_linear", "02_linear"], [[-3.0, -2.0], [-1.0, None]], 2,
        )  # fmt: skip
        make_run(
            folder / name, *overrides, status="failed" if accuracy is None else "completed",
            metrics={} if accuracy is None else {"val/acc": accuracy, "val/loss": 1 - accuracy}, curves=curves,
            config={"seed": seed, "optimizer": {"lr": lr}}, epochs=2, seconds=1.5,
            diagnosis=[HEALTHY] if accuracy else [],
        )  # fmt: skip
    records.write_sweep(records.SweepRecord(["-m"], "val/acc", 0.5, jobs), folder)
    return folder
