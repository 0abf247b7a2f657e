"""A user's own arrays: `--dataset=npz:PATH`."""

import numpy as np

from mia_tf.config import DataConfig
from mia_tf.data.archives import Archive
from mia_tf.data.assembly import Pool, assemble
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import InputError, check


def load(path: str, config: DataConfig) -> Dataset:
    """Loads a user's npz archive.

    Args:
        path: holds x_train (N, H, W) or (N, H, W, 1 | 3), uint8 or floats in [0, 1], and y_train (N,)
            integers from 0; optionally x_test and y_test; and group_train (or group) and group_test,
            0 for the over- and 1 for the under-represented group, all 0 where there are none.
        config: num_over and num_under are taken of each group, balanced over its labels.

    Raises:
        InputError: an array is missing or not of that kind, or a group is smaller than was asked for.
    """
    archive = Archive(path)
    images = archive.images("x_train")
    check(len(images) >= 2, "must hold at least 2 images", **{f"x_train in {path}": f"{len(images)} images"})
    # A label beyond the number of examples is an id, not a class.
    labels = archive.labels("y_train", len(images), limit=len(images))
    num_classes = int(labels.max()) + 1
    check(num_classes >= 2, "must have at least 2 classes", **{f"y_train in {path}": "only label 0"})
    groups = _groups(archive, "group_train" if "group_train" in archive else "group", len(images))
    if "x_test" in archive or "y_test" in archive:
        test_images = archive.images("x_test", images.shape[1:])
        test_labels = archive.labels("y_test", len(test_images), limit=num_classes)
        test_groups = _groups(archive, "group_test", len(test_images))
    else:
        test_images, test_labels = images[:0], labels[:0]
        test_groups = groups[:0]
    counts = {OVER: config.num_over, UNDER: config.num_under}
    pools = {}
    for group, count in counts.items():
        rows, test_rows = groups == group, test_groups == group
        if rows.any() and count != 0:
            pools[group] = Pool(images[rows], labels[rows], test_images[test_rows], test_labels[test_rows], count)
        elif count:
            raise InputError(f"Argument `num_under` must be 0 or not given: {path} has no examples of group 1.")
    converted = "" if archive.array("x_train").dtype == np.uint8 else ", floats rounded to 256 grey levels"
    return assemble(
        pools,
        config,
        num_classes=num_classes,
        sources={"npz": f"{path}{converted}"},
    )


def _groups(archive: Archive, key: str, length: int) -> np.ndarray:
    """(length,) group ids, all OVER where the archive has no such array."""
    if key not in archive:
        return np.full(length, OVER)
    return archive.labels(key, length, limit=2)
