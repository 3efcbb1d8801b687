"""MNIST and the two made in its image: the same files under the same names, of other things."""

from lit_dl.data.idx import IDXImages


class MNIST(IDXImages):
    """70,000 handwritten digits (LeCun, Bottou, Bengio and Haffner 1998).

    The official 60,000 are the pool, the official 10,000 the test set. Takes the arguments of ``IDXImages``.
    """

    name = "mnist"
    folder_name = "MNIST"
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://sagemaker-sample-files.s3.amazonaws.com/datasets/image/MNIST/",
    )
    gz_md5 = (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    )
    plain_md5 = (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    )


class FashionMNIST(IDXImages):
    """70,000 pictures of clothes from a shop, 7,000 of each kind (Xiao, Rasul and Vollgraf 2017).

    60,000 are the pool, 10,000 the test set. Takes the arguments of ``IDXImages``. The MD5 of the plain files are not
    published, so those are checked for their shape and the range of their labels.
    """

    name = "fashion_mnist"
    folder_name = "FashionMNIST"
    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    gz_md5 = (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    )
    labels = (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip


class KMNIST(IDXImages):
    """70,000 handwritten characters of ten kinds from old Japanese books (Clanuwat and others 2018).

    60,000 are the pool, 10,000 the test set. Takes the arguments of ``IDXImages``. The MD5 of the plain files are not
    published, so those are checked for their shape and the range of their labels.
    """

    name = "kmnist"
    folder_name = "KMNIST"
    mirrors = (  # both of the makers: nobody else serves these files
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    )
    gz_md5 = (
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    )
    labels = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
