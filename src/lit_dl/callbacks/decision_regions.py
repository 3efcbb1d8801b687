"""Which class a network gives to each point of the plane, drawn while it trains."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_dl.layers import evaluating
from lit_dl.lightning_seams import forward_as_trained, is_fitting
from lit_dl.loggers import boards, log_image, spacing
from lit_dl.plots.canvas import save_figure
from lit_dl.plots.decision_regions import Extent, RegionsImage, decision_regions, region_colours
from lit_dl.plots.gif import Gif

MOST_POINTS = 1500  # more hide the regions
COARSE, FINE = 100, 300  # points along a side of the grid, of the images while training and of the last picture
GIF_FILE = "decision_regions.gif"
MARGIN = 0.06  # of the plane around the points, as a share of their range
ACCURACIES = ("val/acc", "val_acc", "val/accuracy", "val_accuracy")  # as modules call what they log


class Plane:
    """The part of the plane in which points lie, with a margin.

    Args:
        points: (N, 2).
    """

    def __init__(self, points: Tensor) -> None:
        low, high = points.min(dim=0).values, points.max(dim=0).values
        margin = torch.where(high > low, MARGIN * (high - low), 1.0)
        self._low, self._high = low - margin, high + margin

    @property
    def extent(self) -> Extent:
        """Left, right, bottom and top."""
        (left, bottom), (right, top) = self._low.tolist(), self._high.tolist()
        return left, right, bottom, top

    def grid(self, side: int) -> Tensor:
        """The centres of side x side equal cells, (side * side, 2), row by row from the bottom."""
        steps = (torch.arange(side) + 0.5) / side
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return self._low + torch.stack([x.flatten(), y.flatten()], dim=1) * (self._high - self._low)


def class_probabilities(outputs: Tensor, threshold: float = 0.0) -> Tensor:
    """Probability of each class, (N, C) float32, from logits: (N, C), or (N, 1) of the second of two classes.

    Args:
        threshold: of a single output, above which it says the second class; one half stands there.
    """
    outputs = outputs.float()
    if outputs.shape[1] > 1:
        return outputs.softmax(dim=1)
    second = (outputs - threshold).sigmoid()
    return torch.cat([1 - second, second], dim=1)


class DecisionRegions(Callback):
    """Draws the decision regions of a classifier of two features, with points of the training data over them.

    At each validation, in a long training at fewer and fewer (``loggers.spacing``), an image ``decision_regions`` for
    TensorBoard, and when training ends ``decision_regions.png`` in the trainer's ``default_root_dir``. The coordinates
    are those that the network sees.
    The points are the first 1,500 that training passes. The network is called in evaluation mode, without gradients;
    neither its modes nor the random numbers change. Works with any LightningModule whose ``forward`` gives logits.

    Args:
        animate: also write ``decision_regions.gif``, with a frame for each validation, 100 at most.

    Raises:
        ValueError: when training starts, for batches that are not inputs (B, 2) and labels (B,).
    """

    def __init__(self, animate: bool = False) -> None:
        self.animate = animate
        self._forget()

    def _forget(self) -> None:
        self.gif = Gif()
        self._batches: list[tuple[Tensor, Tensor]] = []  # on the CPU; MOST_POINTS rows at most
        self._missing = MOST_POINTS  # rows to come
        self._accuracy = ""  # of the newest validation, in words
        self._plane: Plane | None = None  # this and the next are made for the first image
        self._image: RegionsImage | None = None
        self._sent, self._next = 0, 0  # images sent to TensorBoard, and the validation of the next, from 0 up
        self._validations = 0  # so far

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew, but for a training that goes on."""
        if trainer.global_step == 0:
            self._forget()
        elif self.animate and not self.gif.frames:  # its checkpoint is of 0.2.0, or it was not animated before
            self.gif.load(Path(trainer.default_root_dir) / GIF_FILE)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Keep the points, until there are enough."""
        if self._missing == 0 or self._plane is not None:
            return
        inputs, labels = _points_and_labels(batch)
        self._batches.append((inputs[: self._missing].float().cpu(), labels[: self._missing].cpu()))
        self._missing -= len(self._batches[-1][0])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw an image, where one is wanted."""
        self._accuracy = _accuracy(trainer)
        writers = boards(trainer)
        if not is_fitting(trainer) or not self._batches:
            return
        is_sent = bool(writers) and self._validations == self._next
        self._validations += 1
        if not is_sent and not (self.animate and trainer.is_global_zero):
            return
        image = self._draw(trainer, pl_module)
        if is_sent:
            self._sent += 1
            self._next += spacing(self._sent)
            for board in writers:
                log_image(board, "decision_regions", image, trainer.global_step)
        if self.animate:
            self.gif.add(image)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the picture of the last parameters, and the moving one."""
        if not trainer.is_global_zero or not self._batches:
            return
        folder = Path(trainer.default_root_dir)
        points, labels = self._points()
        plane = Plane(points)
        probabilities = self._probabilities(trainer, pl_module, plane, FINE)
        figure = decision_regions(
            region_colours(probabilities),
            plane.extent,
            points.numpy(),
            labels.numpy(),
            probabilities.shape[-1],
            self._when(trainer, trainer.current_epoch),
        )
        save_figure(figure, folder / "decision_regions.png")
        if self.gif.frames:
            self.gif.save(folder / GIF_FILE)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run draws from."""
        if not self._batches:
            return {}
        sent = {"sent": self._sent, "next": self._next, "validations": self._validations}
        drawn = {"is_drawn": self._plane is not None, "accuracy": self._accuracy, **sent}
        return {"points": self._points(), **drawn, "gif": self.gif.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        self._forget()
        self._batches = [state_dict["points"]]
        self._missing -= len(state_dict["points"][0])
        self._plane = Plane(state_dict["points"][0]) if state_dict["is_drawn"] else None
        self._accuracy = state_dict["accuracy"]
        self._sent, self._next, self._validations = (state_dict[name] for name in ("sent", "next", "validations"))
        self.gif.restore(state_dict["gif"])

    def _draw(self, trainer: Trainer, module: LightningModule) -> np.ndarray:
        if self._plane is None:
            self._plane = Plane(self._points()[0])
        probabilities = self._probabilities(trainer, module, self._plane, COARSE)
        if self._image is None:
            points, labels = self._points()
            self._image = RegionsImage(
                self._plane.extent, points.numpy(), labels.numpy(), classes=probabilities.shape[-1]
            )
        return self._image.draw(region_colours(probabilities), self._when(trainer, trainer.current_epoch + 1))

    def _when(self, trainer: Trainer, epoch: int) -> str:
        return f"step {trainer.global_step:,}, epoch {epoch:,}{self._accuracy}"

    def _points(self) -> tuple[Tensor, Tensor]:
        points, labels = zip(*self._batches, strict=True)
        return torch.cat(points), torch.cat(labels)

    @staticmethod
    @torch.inference_mode()
    def _probabilities(trainer: Trainer, module: LightningModule, plane: Plane, side: int) -> np.ndarray:
        """Of each class on the grid, (side, side, C)."""
        threshold = getattr(module, "threshold", 0.0)  # of a single output, as lit_dl's Classifier has it
        with evaluating(module), torch.random.fork_rng(devices=[]):
            probabilities = class_probabilities(forward_as_trained(trainer, module, plane.grid(side)), threshold)
        return probabilities.view(side, side, -1).cpu().numpy()


def _points_and_labels(batch: Any) -> tuple[Tensor, Tensor]:
    parts = list(batch) if isinstance(batch, list | tuple) else [batch]
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts]
    if len(parts) != 2 or not all(isinstance(part, Tensor) for part in parts) or parts[0].shape[1:] != (2,):
        raise ValueError(f"a batch has {shapes}; decision regions are drawn for inputs (B, 2) with labels (B,)")
    if parts[1].dim() != 1 or parts[1].is_floating_point():
        raise ValueError(f"targets {shapes[1]} of {parts[1].dtype} are no labels (B,): there are no decision regions")
    return parts[0], parts[1]


def _accuracy(trainer: Trainer) -> str:
    metric = next((name for name in ACCURACIES if name in trainer.callback_metrics), None)
    return "" if metric is None else f"; validation accuracy {trainer.callback_metrics[metric].item():.3f}"
