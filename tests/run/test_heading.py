"""What a run is told by, of a request that no command made."""

from tests.runs import request

from lit_dl.run.build import build
from lit_dl.run.heading import heading, hyperparameters


def test_the_heading_names_data_model_loss_optimizer_device_and_folder(tmp_path):
    asked = request(
        tmp_path, "data=digits", "model.hidden=[30]", "optimizer=adamw", "optimizer.weight_decay=0.1",
        "optimizer.decay_biases_and_norms=false", "optimizer.layer_lr_decay=0.5", "scheduler=step",
        "trainer.accelerator=cpu",
    )  # fmt: skip
    run = build(asked)
    run.data.setup()
    told = heading(asked, run)
    assert list(told) == ["data", "samples", "model", "loss", "optimizer", "device", "run folder"]
    assert told["data"] == "digits: 1,350 training, 150 validation, 297 test"
    assert told["samples"] == "1x8x8, 10 classes; batch size 64"
    parameters = 64 * 30 + 30 + 30 * 10 + 10
    assert told["model"] == f"mlp, {parameters:,} parameters; activation relu, init default"
    assert told["loss"] == "cross_entropy"
    assert told["optimizer"] == (
        "adamw, lr 0.001, weight decay 0.1 (not of biases and norms), times 0.5 a layer down; scheduler step"
    )
    assert told["device"].startswith("cpu")
    assert told["run folder"] == str(tmp_path)


def test_a_surface_is_told_by_its_formula_and_where_the_point_starts(tmp_path):
    asked = request(tmp_path, "experiment=himmelblau", "model.start=[1,2.5]", "trainer.accelerator=cpu")
    told = heading(asked, build(asked))
    assert told["surface"] == "himmelblau, f = (x² + y - 11)² + (x + y² - 7)²"
    assert told["start"] == "(1, 2.5)"


def test_runs_are_compared_by_choices_numbers_and_all_that_was_set(tmp_path):
    typed = ("data=digits", "model.hidden=[8,8]", "trainer.max_epochs=3", "data.shift=1", "resume=before")
    told = hyperparameters(request(tmp_path, *typed))
    assert {"data": "digits", "model": "mlp", "activation": "relu", "optimizer": "adam"}.items() <= told.items()
    assert {"seed": 0, "dropout": 0.0, "optimizer.lr": 0.001, "data.batch_size": 64}.items() <= told.items()
    assert list(told["model.hidden"]) == [8, 8]
    assert (told["trainer.max_epochs"], told["data.shift"]) == (3, 1)
    assert "resume" not in told
    assert None not in told.values()
