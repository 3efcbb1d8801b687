"""The official files."""

import pytest

from lit_dl.data import KMNIST, MNIST, FashionMNIST


def test_the_official_files_have_the_official_sizes(mnist_root):
    data = MNIST(mnist_root)
    data.prepare_data()
    data.setup()
    assert data.sizes() == {"train": 55000, "val": 5000, "test": 10000}
    images, labels = data.load_pool()
    assert images.shape == (60000, 1, 28, 28)
    assert labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # LeCun's counts
    assert images.float().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)  # as torchvision's examples give it


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, KMNIST])
def test_each_data_set_has_a_folder_a_checksum_a_file_and_a_name_a_class_of_its_own(kind):
    others = {MNIST, FashionMNIST, KMNIST} - {kind}
    data = kind("root")
    assert data.folder.parts == ("root", kind.__name__, "raw")  # torchvision's
    assert all(len(md5) == 32 and set(md5) <= set("0123456789abcdef") for md5 in kind.gz_md5)
    assert len(set(kind.gz_md5)) == 4
    assert not any(set(kind.gz_md5) & set(other.gz_md5) for other in others)
    assert len(set(data.class_names)) == data.num_classes == 10
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in kind.mirrors)
