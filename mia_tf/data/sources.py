"""Where source data sets come from: npz archives, folders of images, tensorflow_datasets, or what needs no network."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.data import image_folder
from mia_tf.data.archives import Archive, as_labels
from mia_tf.data.pictures import read_pictures
from mia_tf.validation import InputError, check

ENVIRONMENT_VARIABLE = "MIA_TF_DATA"


@dataclass(frozen=True)
class Source:
    """A data set that mixtures are made of.

    Attributes:
        shape: (H, W, C) of its images.
        num_classes: number of its labels; where tensorflow_datasets has more, only examples of the first.
        tfds_name: its name in tensorflow_datasets; None where it is not there.
        classes: where it is a folder of images, the names of its classes' folders in the order of the labels;
            else empty, and it is an archive.
        download: a shell command for people that gets it into FOLDER, else "".
    """

    shape: tuple[int, int, int]
    num_classes: int
    tfds_name: str | None = None
    classes: tuple[str, ...] = ()
    download: str = ""


_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

SOURCES = {
    "mnist": Source((28, 28, 1), 10, tfds_name="mnist"),
    "svhn": Source((32, 32, 3), 10, tfds_name="svhn_cropped"),
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
        data_dir: the folder of npz archives and of folders of images; None for the environment variable MIA_TF_DATA.

    Raises:
        InputError: data that cannot be had; a missing file is said before anything is read.
    """
    readers = [_reader(name, data_source, data_dir) for name in names]
    return [reader() for reader in readers]


def _reader(name: str, data_source: str, data_dir: str | None) -> Callable[[], SourceData]:
    """The function that will read `name`, once it is known that its file is there."""
    source = SOURCES[name]
    if data_source == "embedded":
        from mia_tf.data import embedded

        if name not in embedded.READERS:
            raise InputError(
                f"--data_source=embedded has no {name}, only {' and '.join(embedded.READERS)}. {how_to_get(name)}"
            )
        return embedded.READERS[name]
    if data_source == "tfds" and source.tfds_name is None:
        raise InputError(f"tensorflow_datasets has no {name}. {how_to_get(name)}")
    if data_source == "tfds":
        return _tfds_reader(name)
    folder = folder_of_archives(data_dir)
    path = None if folder is None else folder / (name if source.classes else f"{name}.npz")
    if data_source == "auto" and source.tfds_name is not None and (path is None or not path.exists()):
        return _tfds_reader(name)
    if path is None:
        raise InputError(f"{name} needs a folder of data. {how_to_get(name)}")
    if source.classes:
        if not (path / "train").is_dir() or not (path / "test").is_dir():
            raise InputError(f"Missing folder: {path} with the folders train and test. {how_to_get(name)}")
        return lambda: read_images(name, path)
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
        images = read_pictures(archive.stored(f"x_{split}"), f"x_{split} in {path}", shape=source.shape).images
        labels = archive.array(f"y_{split}")
        arrays += [images, as_labels(labels, f"y_{split} in {path}", len(images), source.num_classes)]
    return SourceData(*arrays, provenance=f"{path.name}, an npz archive")


def read_images(name: str, path: Path) -> SourceData:
    """Reads the folders train and test of a folder of images."""
    source = SOURCES[name]
    splits = [image_folder.read_split(path / split, source.classes, source.shape) for split in ("train", "test")]
    return SourceData(*splits[0], *splits[1], provenance=f"{path.name}, a folder of images")


def how_to_get(name: str) -> str:
    """What a user can do to have the data set `name`."""
    from mia_tf.data import embedded

    if SOURCES[name].download:
        return f"Get it with `{SOURCES[name].download}` and give --data_dir=FOLDER"
    ways = (
        f"Put {name}.npz (x_train, y_train, x_test, y_test) in a folder and give --data_dir=FOLDER, "
        "or use --data_source=tfds where there is a network"
    )
    return ways + ", or the stand-in with --data_source=embedded" * (name in embedded.READERS)
