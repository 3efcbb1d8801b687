"""When something is logged, and how it reaches the loggers."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from lit_dl.tensorboard_seams import write_image, write_scalars

PICTURES = 100  # of one kind that are sent before they are sent half as often


def is_logged_step(every: int, step: int, last: int | None = None) -> bool:
    """Whether something is logged after ``step`` optimizer steps: the first, and each ``every``-th; 0 is never.

    Args:
        every: steps from one that is logged to the next.
        step: from 1 up.
        last: the step that was looked at before, where steps are left out (each of several optimizers counts one).
    """
    last = step - 1 if last is None else last
    return step == 1 or (every > 0 and step // every > last // every)


def spacing(sent: int) -> int:
    """How much further apart pictures are sent once ``sent`` of them were: 1, and twice as far for each hundred more.

    So a training of any length sends a hundred or a few hundred, of which TensorBoard shows ten.
    """
    return 2 ** (sent // PICTURES)


def boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """TensorBoard's loggers, on the process that writes."""
    if not trainer.is_global_zero:
        return []
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def log_scalars(trainer: Trainer, values: Mapping[str, float], step: int) -> None:
    """Send values by tag to every logger; to TensorBoard in one record, which takes a tenth of the time."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            write_scalars(logger, values, step)
        else:
            logger.log_metrics(dict(values), step=step)


def log_image(board: TensorBoardLogger, tag: str, image: np.ndarray, step: int) -> None:
    """Send RGB values, (height, width, 3) uint8, to TensorBoard.

    As JPEG, so that an image at each validation costs little: the PNG of ``add_image`` takes eight times as long.
    """
    content = BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=85, subsampling=0)
    write_image(board, tag, content.getvalue(), image.shape, step)
