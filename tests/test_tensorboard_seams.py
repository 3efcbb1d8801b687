"""What lit_dl uses of TensorBoard without its promise: run with the oldest and the newest Lightning."""

from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_dl import tensorboard_seams as seams


def test_tensorboard_gets_scalars_in_one_record_also_after_its_file_was_closed(tmp_path):
    board = TensorBoardLogger(tmp_path, "", "")
    seams.write_scalars(board, {"a": 1.0, "b": 2.0}, 3)
    seams.write_scalars(board, {"a": 5.0, "b": 6.0}, 4)
    board.finalize("success")
    seams.write_scalars(board, {"a": 7.0}, 5)
    board.finalize("success")
    seen = EventAccumulator(str(tmp_path), purge_orphaned_data=False).Reload()  # of two files, in any order
    assert {(scalar.step, scalar.value) for scalar in seen.Scalars("a")} == {(3, 1.0), (4, 5.0), (5, 7.0)}
    assert {(scalar.step, scalar.value) for scalar in seen.Scalars("b")} == {(3, 2.0), (4, 6.0)}


def test_tensorboard_gets_an_image_as_it_was_encoded(tmp_path):
    board = TensorBoardLogger(tmp_path, "", "")
    seams.write_image(board, "picture", b"encoded", (4, 6, 3), 2)
    board.finalize("success")
    (image,) = EventAccumulator(str(tmp_path)).Reload().Images("picture")
    assert (image.encoded_image_string, image.width, image.height, image.step) == (b"encoded", 6, 4, 2)


def test_tensorboard_whose_file_fails_gets_nothing_more_and_the_block_goes_on(tmp_path):
    told, board = [], TensorBoardLogger(tmp_path, "", "")
    with seams.boards_may_fail(told.append):
        board.experiment.add_scalar("a", 1.0, 1)
        board.experiment.flush()
        written = {path: path.read_bytes() for path in tmp_path.iterdir()}
        (tmp_path / "moved").mkdir()
        for path in written:
            path.rename(tmp_path / "moved" / path.name)
            path.mkdir()  # what cannot be written
        for step in range(2, 50):  # more than TensorBoard's queue holds
            board.experiment.add_scalar("a", 1.0, step)
        board.finalize("success")  # flushes, closes, and would write hparams.yaml
    assert len(told) == 1
    assert isinstance(told[0], IsADirectoryError | PermissionError)  # the second on Windows
    assert {tmp_path / path.name: path.read_bytes() for path in (tmp_path / "moved").iterdir()} == written
    assert not (tmp_path / "hparams.yaml").exists()
