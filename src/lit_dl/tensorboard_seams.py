"""Each use of what TensorBoard does not promise: a function, why, and a test of its own.

``tests/test_tensorboard_seams.py`` holds what each of these rests on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.compat.proto.summary_pb2 import Summary


def write_scalars(board: "TensorBoardLogger", values: Mapping[str, float], step: int) -> None:
    """Send values by tag to TensorBoard in one record of its file format: 22 take 0.1 ms instead of 0.7."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    if board.experiment.file_writer is None:  # closed at the end of training; the next ordinary call opens it again
        board.log_metrics(dict(values), step=step)
        return
    summary = Summary()
    summary.CopyFrom(_tags(tuple(values)))
    for entry, value in zip(summary.value, values.values(), strict=True):
        entry.simple_value = value
    board.experiment.file_writer.add_summary(summary, step)


@lru_cache(maxsize=64)
def _tags(tags: tuple[str, ...]) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag) for tag in tags])


def write_image(board: "TensorBoardLogger", tag: str, encoded: bytes, shape: Sequence[int], step: int) -> None:
    """Send an encoded image, (height, width, channels), to TensorBoard, which would encode it as PNG by itself."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    height, width, channels = shape
    picture = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encoded)
    board.experiment.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=picture)]), step)


@contextmanager
def boards_may_fail(tell: Callable[[OSError], None]) -> Iterator[None]:
    """Let a block go on where TensorBoard's files cannot be written: a file gets nothing after its first failure.

    TensorBoard writes in a thread, which prints its stack trace and dies, and the error comes out of some later call.
    Lightning's logger writes ``hparams.yaml`` beside, which has less than ``.hydra`` and is left out.

    Args:
        tell: gets the first error of each file, often in TensorBoard's thread.
    """
    from tensorboard.summary.writer import event_file_writer

    class Records(event_file_writer.RecordWriter):  # type: ignore[misc]  # tensorboard has no types
        failed = False  # a record may have been written in part, and nobody could read those after it

        def write(self, data: bytes) -> None:
            self._try(super().write, data)

        def flush(self) -> None:
            self._try(super().flush)

        def _try(self, do: Callable[..., None], *data: bytes) -> None:
            if self.failed:
                return
            try:
                do(*data)
            except OSError as error:
                self.failed = True
                tell(error)

    no_hparams = patch("lightning.pytorch.loggers.tensorboard.save_hparams_to_yaml", lambda *_: None)
    with patch.object(event_file_writer, "RecordWriter", Records), no_hparams:
        yield
