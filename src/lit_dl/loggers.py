"""When something is logged, and how it reaches the loggers."""

from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary


def is_logged_step(every: int, step: int, last: int | None = None) -> bool:
    """Whether something is logged after ``step`` optimizer steps: the first, and each ``every``-th; 0 is never.

    Args:
        last: the step that was looked at before, where steps are left out (each of several optimizers counts one).
    """
    last = step - 1 if last is None else last
    return step == 1 or (every > 0 and step // every > last // every)


def boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """TensorBoard's loggers, on the process that writes."""
    if not trainer.is_global_zero:
        return []
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def log_scalars(trainer: Trainer, values: Mapping[str, float], step: int) -> None:
    """Send values by tag to every logger.

    For TensorBoard they become one record instead of one each: for twenty values a tenth of the time.
    """
    for logger in trainer.loggers:
        writer = (
            logger.experiment.file_writer if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero else None
        )
        if writer is None:
            logger.log_metrics(dict(values), step=step)
            continue
        summary = _summary(tuple(values))
        for entry, value in zip(summary.value, values.values(), strict=True):
            entry.simple_value = value
        writer.add_summary(summary, step)  # which makes a copy


def log_image(board: TensorBoardLogger, tag: str, image: np.ndarray, step: int) -> None:
    """Send RGB values, (height, width, 3) uint8, to TensorBoard.

    As JPEG, so that an image at each validation costs little: the PNG of ``add_image`` takes eight times as long.
    """
    content = BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=85, subsampling=0)
    height, width, channels = image.shape
    picture = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=content.getvalue())
    board.experiment.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=picture)]), step)


@lru_cache(maxsize=64)
def _summary(tags: tuple[str, ...]) -> Summary:
    return Summary(value=[Summary.Value(tag=tag) for tag in tags])
