"""The 1,797 scans of handwritten digits that come with scikit-learn."""

import torch

from lit_dl.data.base import InMemoryData, Samples

TEST_SIZE = 297  # leaves a pool of 1,500


class Digits(InMemoryData):
    """Handwritten digits of 8x8 pixels with 17 grey levels, from the UCI repository (Alpaydin and Kaynak 1998).

    Bundled with scikit-learn, so nothing is downloaded. The test set is the same 297 scans whatever the seeds.
    Takes the arguments of ``InMemoryData``.
    """

    name = "digits"
    in_shape = (1, 8, 8)
    num_classes = 10

    def load_pool(self) -> Samples:
        """(1500, 1, 8, 8) float32 in [0, 1] and (1500,) labels."""
        inputs, labels = _scans()
        return inputs[TEST_SIZE:], labels[TEST_SIZE:]

    def load_test(self) -> Samples:
        """(297, 1, 8, 8) float32 in [0, 1] and (297,) labels."""
        inputs, labels = _scans()
        return inputs[:TEST_SIZE], labels[:TEST_SIZE]


def _scans() -> Samples:
    from sklearn.datasets import load_digits  # a second of import, for this data set alone

    pixels, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))  # scans of one writer lie together
    inputs = torch.from_numpy(pixels).float().div_(16).reshape(-1, 1, 8, 8)
    return inputs[order], torch.from_numpy(labels).long()[order]
