"""What every data module tells of its data, with samples or without."""

from typing import Any, Literal

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader


class DataModule(LightningDataModule):
    """Data, or the lack of it, as the commands use it: its name, its shapes, its sizes and a fingerprint."""

    name: str
    in_shape: tuple[int, ...]  # without the batch dimension, e.g. (1, 28, 28)
    num_classes: int = 0  # of a classification
    num_targets: int = 0  # values to predict for each sample, of a regression
    batch_size: int | Literal["full"]  # samples in a training step
    normalize: bool = False  # whether inputs are scaled to mean 0 and variance 1
    sha256: str = ""  # of the raw training samples and labels, in the order of the split; empty without samples

    def setup(self, stage: str | None = None) -> None:
        """Load what there is to load; done once."""

    @property
    def out_features(self) -> int:
        """Outputs that a network for this data has: one for each class or target; 0 where nothing is learnt from it."""
        return self.num_classes or self.num_targets

    @property
    def class_names(self) -> list[str]:
        """A name for each class; its number unless a subclass knows better."""
        return [str(label) for label in range(self.num_classes)]

    def sizes(self) -> dict[str, int]:
        """Number of samples in each part, after ``setup``; of none where there are no samples."""
        return {}

    def described(self) -> dict[str, Any]:
        """Name, sizes and fingerprint, after ``setup``: what a record says of the data."""
        return {"name": self.name, **self.sizes(), "sha256": self.sha256}

    def evaluation_dataloaders(self) -> list[DataLoader]:
        """The validation part and the training part, each in order; none without samples."""
        return []
