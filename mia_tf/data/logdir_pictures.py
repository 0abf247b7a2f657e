"""The pictures of a LOGDIR's examples, also where LiRA's published code or a user wrote x_train.npy."""

import math
from collections.abc import Iterator

import numpy as np

from mia_tf.data.archives import StoredArray
from mia_tf.data.pictures import read_pictures
from mia_tf.files import load_array
from mia_tf.store import Store
from mia_tf.validation import InputError, part_of

_BLOCK_BYTES = 1 << 22
_HALF = 0.5 / 127.5
"""Half a level of pixels from -1 to 1."""


def read_logdir_pictures(store: Store) -> np.ndarray | None:
    """Returns (N, H, W, C) uint8; None if there is no x_train.npy, or if its examples are no pictures.

    In a LOGDIR that `mia_tf.train` did not write, x_train.npy may have its channels on any axis that
    `pictures.read_pictures` knows. Its pixels may go from -1 to 1 (LiRA's x / 127.5 - 1), from 0 to 1 or from 0 to 255.

    Raises:
        InputError: the file is damaged, or its pixels have another range; the message says how to convert them.
    """
    if not store.has_images:
        return None
    if store.ours:
        return store.dataset().images
    path = store.logdir / "x_train.npy"
    array = load_array(path, mmap_mode="r")
    if array.ndim not in (3, 4):
        return None
    stored = StoredArray(array.shape, array.dtype, lambda: _blocks(array))
    if array.dtype.kind == "f" and _is_liras(stored):
        stored = StoredArray(array.shape, np.dtype(np.float64), lambda: (_from_liras(b) for b in _blocks(array)))
    try:
        return read_pictures(stored, part_of("logdir", str(path))).images
    except InputError as error:
        line = f"{error}. Or move the file away: the other figures need no pictures"
        raise InputError(line, error.argument, error.value) from None


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Some megabytes of examples at a time."""
    rows = max(1, _BLOCK_BYTES // max(1, array.itemsize * math.prod(array.shape[1:])))
    return (array[start : start + rows] for start in range(0, len(array), rows))


def _is_liras(stored: StoredArray) -> bool:
    """Whether the pixels are from -1 to 1."""
    ends = [(block.min(), block.max()) for block in stored.blocks()]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return bool(-1 - _HALF < low < -_HALF and high < 1 + _HALF)


def _from_liras(block: np.ndarray) -> np.ndarray:
    """Pixels from -1 to 1 as pixels from 0 to 1."""
    return (block.astype(np.float64) + 1) / 2
