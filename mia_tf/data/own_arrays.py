"""A user's own arrays: `--dataset=npz:PATH`."""

import hashlib
import os
from pathlib import Path

import numpy as np

from mia_tf.config import DataConfig
from mia_tf.data.archives import Archive, as_images, as_labels
from mia_tf.data.assembly import Pool, assemble
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import check

_NAMES = ("x_train", "y_train", "x_test", "y_test", "group_train", "group", "group_test")


def load(path: str, config: DataConfig) -> Dataset:
    """Loads a user's npz archive.

    Args:
        path: holds x_train (N, H, W) or (N, H, W, 1 | 3), uint8 or floats in [0, 1], and y_train (N,)
            integers from 0; optionally x_test and y_test; and group_train (or group) and group_test,
            0 for the over- and 1 for the under-represented group, all 0 where there are none; and no other array.
        config: num_over and num_under are taken of each group, balanced over its labels.

    Raises:
        InputError: an array is missing, unknown or not of that kind, test images have a group that training lacks, or
            a group is smaller than was asked for.
    """
    path = _existing(path)
    archive = Archive(path)
    unknown = sorted(archive.keys - set(_NAMES))
    check(not unknown, "must hold no arrays but " + ", ".join(_NAMES), **{str(path): ", ".join(unknown)})
    both = {"group", "group_train"} <= archive.keys
    check(not both, "must not hold both group and group_train", **{str(path): "both"})
    pixels = archive.array("x_train")
    images = as_images(pixels, f"x_train in {path}")
    # A label beyond the number of examples is an id, not a class.
    labels = as_labels(archive.array("y_train"), f"y_train in {path}", len(images), limit=len(images))
    num_classes = int(labels.max()) + 1
    check(num_classes >= 2, "must have at least 2 classes", **{f"y_train in {path}": "only label 0"})
    groups = _groups(archive, "group_train" if "group_train" in archive else "group", len(images))
    if archive.keys & {"x_test", "y_test", "group_test"}:
        test_images = as_images(archive.array("x_test"), f"x_test in {path}", images.shape[1:])
        test_labels = as_labels(archive.array("y_test"), f"y_test in {path}", len(test_images), limit=num_classes)
        test_groups = _groups(archive, "group_test", len(test_images))
    else:
        test_images, test_labels, test_groups = images[:0], labels[:0], groups[:0]
    if config.pool_test:
        images, labels = np.concatenate([images, test_images]), np.concatenate([labels, test_labels])
        groups = np.concatenate([groups, test_groups])
        test_images, test_labels, test_groups = images[:0], labels[:0], groups[:0]
    groupless = UNDER in test_groups and UNDER not in groups
    check(not groupless, "must hold no group that training lacks", **{f"group_test in {path}": "group 1"})
    counts = {OVER: config.num_over, UNDER: config.num_under}
    if not (groups == UNDER).any():
        check(not config.num_under, f"must be 0 or not given: {path} has no group 1", num_under=config.num_under)
        counts[UNDER] = 0
    check((groups == OVER).any(), "must have examples of group 0", **{f"group_train in {path}": "only group 1"})
    pools = {}
    for group in (group for group, count in counts.items() if count != 0):
        rows, test_rows = groups == group, test_groups == group
        pools[group] = Pool(images[rows], labels[rows], test_images[test_rows], test_labels[test_rows], counts[group])
    rounded = "" if pixels.dtype == np.uint8 else f", {pixels.dtype} rounded to 256 grey levels"
    return assemble(pools, config, name=path.stem, num_classes=num_classes, sources={"npz": f"{path}{rounded}"})


def identity(path: str) -> dict[str, str]:
    """What config.json has of a user's archive: its name and a hash of its bytes, wherever it lies.

    Raises:
        InputError: there is no such file.
    """
    path = _existing(path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return {"dataset": f"npz:{path.name}", "dataset_digest": digest.hexdigest()}


def _existing(path: str) -> Path:
    """The path of a user's archive, which must exist."""
    found = Path(os.path.expanduser(path))
    check(found.is_file(), "must be npz:PATH with the path of a file", dataset=f"npz:{path}")
    return found


def _groups(archive: Archive, key: str, length: int) -> np.ndarray:
    """(length,) group ids, all OVER where the archive has no such array."""
    if key not in archive:
        return np.full(length, OVER)
    return as_labels(archive.array(key), f"{key} in {archive.path}", length, limit=2)
