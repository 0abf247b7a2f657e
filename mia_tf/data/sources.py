"""Where source data sets come from: npz archives, tensorflow_datasets, or what needs no network."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.data.archives import Archive, as_images, as_labels
from mia_tf.validation import InputError, check

ENVIRONMENT_VARIABLE = "MIA_TF_DATA"


@dataclass(frozen=True)
class Source:
    """A data set that mixtures are made of.

    Attributes:
        shape: (H, W, C) of its images.
        num_classes: number of its labels; where tensorflow_datasets has more, only examples of the first.
        tfds_name: its name in tensorflow_datasets.
    """

    shape: tuple[int, int, int]
    num_classes: int
    tfds_name: str


SOURCES = {
    "mnist": Source((28, 28, 1), 10, tfds_name="mnist"),
    "svhn": Source((32, 32, 3), 10, tfds_name="svhn_cropped"),
    "cifar10": Source((32, 32, 3), 10, tfds_name="cifar10"),
    "cifar100_first10": Source((32, 32, 3), 10, tfds_name="cifar100"),
}


@dataclass(frozen=True)
class SourceData:
    """A source data set as it was read.

    Attributes:
        images: (n, H, W, C) uint8.
        labels: (n,) int64.
        test_images: (t, H, W, C) uint8.
        test_labels: (t,) int64.
        provenance: where it came from, for people.
        stand_in: a sentence where it stands in for the real data, else "".
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    provenance: str
    stand_in: str = ""


def read(names: list[str], data_source: str, data_dir: str | None) -> list[SourceData]:
    """Reads source data sets, each a key of SOURCES.

    Args:
        names: which.
        data_source: "npz", "tfds", "embedded", or "auto" for npz where the file is, else tfds. The stand-in is
            never read unless asked for.
        data_dir: the folder of npz archives; None for the environment variable MIA_TF_DATA.

    Raises:
        InputError: data that cannot be had; a missing file is said before anything is read.
    """
    readers = [_reader(name, data_source, data_dir) for name in names]
    return [reader() for reader in readers]


def _reader(name: str, data_source: str, data_dir: str | None) -> Callable[[], SourceData]:
    """The function that will read `name`, once it is known that its file is there."""
    if data_source == "embedded":
        from mia_tf.data import embedded

        if name not in embedded.READERS:
            raise InputError(
                f"--data_source=embedded has no {name}, only {' and '.join(embedded.READERS)}. {how_to_get(name)}"
            )
        return embedded.READERS[name]
    if data_source == "tfds":
        return _tfds_reader(name)
    folder = folder_of_archives(data_dir)
    path = None if folder is None else folder / f"{name}.npz"
    if data_source == "auto" and (path is None or not path.exists()):
        return _tfds_reader(name)
    if path is None:
        raise InputError(f"--data_source=npz needs a folder of archives. {how_to_get(name)}")
    if not path.is_file():
        raise InputError(f"Missing file: {path}. {how_to_get(name)}")
    return lambda: read_npz(name, path)


def _tfds_reader(name: str) -> Callable[[], SourceData]:
    from mia_tf.data import tfds_source

    return lambda: tfds_source.read(name)


def folder_of_archives(data_dir: str | None) -> Path | None:
    """The folder of npz archives, where one is given."""
    given = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    if not given:
        return None
    folder = Path(os.path.expanduser(given))
    check(folder.is_dir(), f"(or {ENVIRONMENT_VARIABLE}) must be a folder that exists", data_dir=given)
    return folder


def read_npz(name: str, path: Path) -> SourceData:
    """Reads x_train, y_train, x_test and y_test of an archive in Keras' layout."""
    source, archive = SOURCES[name], Archive(path)
    arrays = []
    for split in ("train", "test"):
        images = as_images(archive.array(f"x_{split}"), f"x_{split} in {path}", source.shape)
        labels = archive.array(f"y_{split}")
        arrays += [images, as_labels(labels, f"y_{split} in {path}", len(images), source.num_classes)]
    return SourceData(*arrays, provenance=f"{path.name}, an npz archive")


def how_to_get(name: str) -> str:
    """What a user can do to have the data set `name`."""
    from mia_tf.data import embedded

    ways = (
        f"Put {name}.npz (x_train, y_train, x_test, y_test) in a folder and give --data_dir=FOLDER, "
        "or use --data_source=tfds where there is a network"
    )
    return ways + ", or the stand-in with --data_source=embedded" * (name in embedded.READERS)
