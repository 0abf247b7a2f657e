"""Reads source data sets from npz archives, folders of images, tensorflow_datasets or the embedded stand-ins."""

import os
from collections.abc import Callable
from pathlib import Path

from mia_tf.data import embedded, image_folder, tfds_source
from mia_tf.data.archives import Archive, as_labels
from mia_tf.data.catalogue import SOURCES, SourceData, how_to_get
from mia_tf.data.pictures import read_pictures
from mia_tf.files import expanded
from mia_tf.validation import InputError, check

ENVIRONMENT_VARIABLE = "MIA_TF_DATA"


def read(names: list[str], data_source: str, data_dir: str | None) -> list[SourceData]:
    """Reads source data sets, each a key of SOURCES.

    Args:
        names: the keys.
        data_source: "npz", "tfds", "embedded", or "auto": npz if the file exists, else tfds. "auto" never reads a
            stand-in.
        data_dir: the folder of npz archives and of folders of images; None for the environment variable MIA_TF_DATA.

    Returns:
        One SourceData per name.

    Raises:
        InputError: a data set is not available. A missing file is reported before any data set is read.
    """
    readers = [_reader(name, data_source, data_dir) for name in names]
    return [reader() for reader in readers]


def _reader(name: str, data_source: str, data_dir: str | None) -> Callable[[], SourceData]:
    """Checks that `name` is available, and returns the function that reads it."""
    source = SOURCES[name]
    if data_source == "embedded":
        if not source.embedded:
            stand_ins = " and ".join(other for other in SOURCES if SOURCES[other].embedded)
            line = f"--data_source=embedded has no {name}, only {stand_ins}. {how_to_get(name)}"
            raise InputError(line, "data_source", data_source)
        return embedded.READERS[name]
    if data_source == "tfds" and source.tfds_name is None:
        raise InputError(f"tensorflow_datasets has no {name}. {how_to_get(name)}", "data_source", data_source)
    if data_source == "tfds":
        return lambda: tfds_source.read(name)
    folder = folder_of_archives(data_dir)
    path = None if folder is None else folder / (name if source.classes else f"{name}.npz")
    if data_source == "auto" and source.tfds_name is not None and (path is None or not path.exists()):
        return lambda: tfds_source.read(name)
    if path is None:
        raise InputError(f"{name} needs a folder of data. {how_to_get(name)}", "data_dir")
    if source.classes:
        if not (path / "train").is_dir() or not (path / "test").is_dir():
            line = f"Missing folder: {path} with the folders train and test. {how_to_get(name)}"
            raise InputError(line, "data_dir", path)
        return lambda: read_images(name, path)
    if not path.is_file():
        raise InputError(f"Missing file: {path}. {how_to_get(name)}", "data_dir", path)
    return lambda: read_npz(name, path)


def folder_of_archives(data_dir: str | None) -> Path | None:
    """Returns the folder of npz archives; None if neither `data_dir` nor MIA_TF_DATA is set."""
    given = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    if not given:
        return None
    folder = expanded(given, "data_dir")
    check("data_dir", given, folder.is_dir(), f"(or {ENVIRONMENT_VARIABLE}) must be a folder that exists")
    return folder


def read_npz(name: str, path: Path) -> SourceData:
    """Reads x_train, y_train, x_test and y_test of an archive in Keras' layout."""
    source, archive = SOURCES[name], Archive(path, "data_dir")
    arrays = []
    for split in ("train", "test"):
        x, y = f"x_{split}", f"y_{split}"
        images = read_pictures(archive.stored(x), archive.title(x), shape=source.shape).images
        arrays += [images, as_labels(archive.array(y), archive.title(y), len(images), source.num_classes)]
    return SourceData(*arrays, provenance=f"{path.name}, an npz archive")


def read_images(name: str, path: Path) -> SourceData:
    """Reads the folders train and test of a folder of images."""
    source = SOURCES[name]
    splits = [image_folder.read_split(path / split, source.classes, source.shape) for split in ("train", "test")]
    return SourceData(*splits[0], *splits[1], provenance=f"{path.name}, a folder of images")
