"""Damaged files of a run are named and gone round; a command that fails leaves what was there."""

from pathlib import Path

import pytest
from tests.runs import PLAIN, QUICK
from tests.sameness import check_same, left_by

from lit_dl import records

RUN = (*QUICK, "trainer.max_epochs=3", "dropout=0.2", "data.train_size=100")


def contents(folder: Path) -> dict[Path, bytes]:
    """All that a run left, but for the log, which goes on, and the lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("train.log", ".lock")]
    return {path: path.read_bytes() for path in files}


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def as_if_killed(folder: Path) -> None:
    (folder / records.METRICS_FILE).unlink()


@pytest.mark.slow
def test_where_the_last_checkpoint_is_damaged_the_run_goes_on_from_the_best(command):
    command(*RUN, "hydra.run.dir=whole")
    command(*RUN, "trainer.max_epochs=2", "hydra.run.dir=run")  # whose second epoch is its best
    whole, folder = Path("whole"), Path("run")
    as_if_killed(folder)
    damage(folder / "checkpoints/last.ckpt")
    resumed = command("resume=run", "trainer.max_epochs=3")
    assert resumed.code == 0, resumed.err
    assert "run/checkpoints/last.ckpt: damaged. Going on from best.ckpt, of epoch 2" in resumed.out
    expected, found = left_by(whole), left_by(folder)
    for each in (expected, found):
        each["metrics"].pop("overrides")
        each["receipt"] = each["receipt"]["steps"]  # the configs are of two epochs and of three
        each["events"] = {key: value for key, value in each["events"].items() if not key[0].startswith("hp/")}
    check_same(expected, found)


def test_where_no_checkpoint_is_whole_the_way_out_is_told_and_nothing_changed(command):
    folder = command(*PLAIN).folder
    as_if_killed(folder)
    for name in ("best", "last"):
        damage(folder / f"checkpoints/{name}.ckpt")
    before = contents(folder)
    result = command(f"resume={folder}")
    assert result.code == 2
    for word in ("last.ckpt", "best.ckpt", "damaged", "Start it anew: python -m lit_dl.train data=digits"):
        assert word in result.err
    assert contents(folder) == before


def test_before_the_first_checkpoint_the_way_out_is_told(command):
    folder = command(*PLAIN).folder
    as_if_killed(folder)
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    result = command(f"resume={folder}")
    assert result.code == 2
    assert "its first epoch was not finished" in result.err
    assert "Start it anew: python -m lit_dl.train data=digits trainer.max_epochs=2" in result.err


@pytest.mark.parametrize("content", [b"", b"{", b'{"status": 3}', b"\xff", b"[" * 100_000], ids=range(5))
def test_a_damaged_record_does_not_keep_a_run_from_going_on(command, content):
    folder = command(*PLAIN).folder
    (folder / "metrics.json").write_bytes(content)
    (folder / "curves.json").write_bytes(content)
    result = command(f"resume={folder}", "trainer.max_epochs=3")
    assert result.code == 0, result.err
    assert "metrics.json" in result.out
    assert records.read_run(folder).epochs == 3
    assert records.read_curves(folder).points["epoch"] == [1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"{", b"- 1", b"a: 1", b"\xff", b"[" * 10_000], ids=range(6))
def test_damaged_overrides_are_one_line(command, content):
    folder = command(*PLAIN).folder
    (folder / ".hydra/overrides.yaml").write_bytes(content)
    result = command(f"resume={folder}", "trainer.max_epochs=3")
    assert result.code == 2
    assert "overrides.yaml" in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_a_resume_that_cannot_begin_changes_nothing(command, monkeypatch):
    folder = command(*QUICK, "trainer.max_epochs=1").folder
    before = contents(folder)

    def missing(self):
        raise FileNotFoundError("the data have gone")

    def broken(self, batch, batch_idx):
        raise RuntimeError("the first step broke")

    for typed, code in [
        (("trainer.precision=7",), 2), (("trainer.max_steps=3",), 2), (("trainer.max_epochs=1",), 2),
        (("logger.save_dir=x",), 2), (("optimizer=sgd",), 2),
    ]:  # fmt: skip
        result = command(f"resume={folder}", "trainer.max_epochs=3", *typed)
        assert result.code == code, (typed, result.err)
        assert contents(folder) == before, typed
    faults = {"data.digits.Digits.load_pool": missing, "tasks.supervised.Classifier.training_step": broken}
    for place, fault in faults.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"lit_dl.{place}", fault)
            result = command(f"resume={folder}", "trainer.max_epochs=3")
        assert result.code == 1
        assert contents(folder) == before, place
    assert command(f"resume={folder}", "trainer.max_epochs=3").code == 0


def test_files_in_the_place_of_folders_are_told_before_anything_is_trained(command):
    folder = command(*PLAIN).folder
    (folder / "metrics.json").unlink()
    (folder / "metrics.json").mkdir()
    result = command(f"resume={folder}", "trainer.max_epochs=3")
    assert result.code == 2
    assert "metrics.json is a folder" in result.err


def test_one_that_breaks_after_it_got_further_says_so_and_keeps_the_further_state(command, monkeypatch):
    from lit_dl.tasks.supervised import Classifier

    folder = command(*QUICK, "trainer.max_epochs=1").folder
    step = Classifier.training_step

    def breaks_in_the_third_epoch(self, batch, batch_idx):
        if self.current_epoch == 2:
            raise RuntimeError("a step broke")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", breaks_in_the_third_epoch)
        assert command(f"resume={folder}", "trainer.max_epochs=4").code == 1
    record = records.read_run(folder)
    assert (record.status, record.epochs, record.stop_reason) == ("failed", 2, "a step broke")
    assert command(f"resume={folder}").code == 0
    assert records.read_run(folder).epochs == 4


def test_where_the_best_checkpoint_is_damaged_the_last_parameters_are_evaluated(command, monkeypatch):
    from lightning.pytorch import Trainer

    settings = (*PLAIN, "early_stopping=on", "trainer.accelerator=cpu")
    fit = Trainer.fit

    def damaged_afterwards(self, *arguments, **options):
        fit(self, *arguments, **options)
        damage(next(Path().rglob("best.ckpt")))

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", damaged_afterwards)
        result = command(*settings)
    assert result.code == 0, result.err
    assert "best.ckpt is damaged: the last parameters are evaluated" in result.out
    assert "test/acc" in result.record.metrics
