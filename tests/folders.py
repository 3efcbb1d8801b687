"""Run folders made by hand, so that what is said of them is known beforehand."""

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
