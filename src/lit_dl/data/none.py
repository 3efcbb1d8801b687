"""No data, for a function that is descended as it is."""

from typing import Literal

from lit_dl.data.module import DataModule
from lit_dl.errors import check_count


class NoData(DataModule):
    """Steps without samples: a training makes its steps, and there is nothing to validate or test with.

    Args:
        steps: in an epoch, after which a checkpoint is written.
        batch_size: ``"full"``: each step sees all there is of the function.

    Raises:
        ValueError: for ``steps`` below 1, or another batch size.
    """

    name = "none"
    in_shape = ()

    def __init__(self, *, steps: int = 1000, batch_size: Literal["full"] = "full", shuffle_seed: int = 0) -> None:
        super().__init__()
        check_count("steps", steps)
        if batch_size != "full":
            raise ValueError(f"batch_size is {batch_size!r}, but there are no samples to divide; leave it out")
        self.steps = steps
        self.batch_size = batch_size

    def setup(self, stage: str | None = None) -> None:
        """There is nothing to load."""

    def train_dataloader(self) -> range:
        """The numbers of an epoch's steps; nothing reads them."""
        return range(self.steps)
