"""The picture of the gradient flow, renewed in TensorBoard while a network trains."""

import math
import time

from lightning.pytorch import Trainer

from lit_dl.diagnostics.history import History
from lit_dl.loggers import boards, spacing
from lit_dl.plots.training import GradientFlowImage

SECONDS_BETWEEN = 5.0  # at first, as often as TensorBoard looks for something new; one takes some 15 ms


class FlowPicture:
    """Draws a history for TensorBoard.

    Args:
        trainer: of the training.
        history: of its gradients.
    """

    def __init__(self, trainer: Trainer, history: History) -> None:
        self._trainer, self._history = trainer, history
        steps = trainer.estimated_stepping_batches
        self._image = GradientFlowImage(int(steps) if math.isfinite(steps) else None)
        self._pictures = 0  # sent so far
        self._drawn = time.perf_counter()  # when it was drawn last; the first is due a while after the start

    def is_due(self) -> bool:
        """Whether it was drawn long enough ago."""
        return time.perf_counter() - self._drawn > SECONDS_BETWEEN * spacing(self._pictures)

    def draw(self) -> None:
        """Renew it."""
        if not self._history.layers:
            return
        for board in boards(self._trainer):
            picture = self._image.draw(self._history)
            board.experiment.add_image("gradient_flow", picture, self._trainer.global_step, dataformats="HWC")
        self._pictures += 1
        self._drawn = time.perf_counter()
