"""The source data sets that mixtures are made of: their shapes, labels and names, and how to get them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Source:
    """A data set that mixtures are made of.

    Attributes:
        shape: (H, W, C) of its images.
        num_classes: number of its labels. If tensorflow_datasets has more, only examples of the first are read.
        tfds_name: its name in tensorflow_datasets; None if it is not there.
        classes: for a folder of images, the names of the class folders in the order of the labels; empty for an
            npz archive.
        download: a shell command for users that downloads it into FOLDER; "" if there is none.
        embedded: whether `mia_tf.data.embedded` has a stand-in for it.
    """

    shape: tuple[int, int, int]
    num_classes: int
    tfds_name: str | None = None
    classes: tuple[str, ...] = ()
    download: str = ""
    embedded: bool = False


_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

SOURCES = {
    "mnist": Source((28, 28, 1), 10, tfds_name="mnist", embedded=True),
    "svhn": Source((32, 32, 3), 10, tfds_name="svhn_cropped", embedded=True),
    "cifar10": Source((32, 32, 3), 10, tfds_name="cifar10"),
    "cifar100_first10": Source((32, 32, 3), 10, tfds_name="cifar100"),
    "cinic10": Source(
        (32, 32, 3),
        10,
        classes=_CIFAR10_CLASSES,
        download="mkdir -p FOLDER/cinic10 && wget -O - "
        "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz | tar xz -C FOLDER/cinic10",
    ),
}


@dataclass(frozen=True)
class SourceData:
    """A source data set as it was read.

    Attributes:
        images: (n, H, W, C) uint8.
        labels: (n,) int64.
        test_images: (t, H, W, C) uint8.
        test_labels: (t,) int64.
        provenance: where it came from, for users.
        stand_in: a sentence if it stands in for the real data, else "".
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    provenance: str
    stand_in: str = ""


def how_to_get(name: str) -> str:
    """Returns a sentence that tells a user how to get the data set `name`, a key of SOURCES."""
    if SOURCES[name].download:
        return f"Get it with `{SOURCES[name].download}` and give --data_dir=FOLDER"
    ways = (
        f"Put {name}.npz (x_train, y_train, x_test, y_test) in a folder and give --data_dir=FOLDER, "
        "or use --data_source=tfds if this machine has a network"
    )
    return ways + ", or the stand-in with --data_source=embedded" * SOURCES[name].embedded
