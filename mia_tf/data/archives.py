"""Reads npz archives of images and labels. Nothing in an archive is ever unpickled."""

import contextlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.validation import InputError, check, check_ids, check_shape

# What zipfile and numpy raise on damaged, encrypted, pickled or absurdly large members.
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, SyntaxError),
    *(EOFError, OSError, ValueError, TypeError, OverflowError, RuntimeError, MemoryError),
)


@dataclass(frozen=True)
class StoredArray:
    """An array that is still in its archive.

    Attributes:
        shape: its shape.
        dtype: its dtype.
        blocks: returns an iterator over the array, in blocks of some megabytes along the first axis. Each call reads
            the array from the start.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Callable[[], Iterator[np.ndarray]]


class Archive:
    """One npz file; every problem with it is an InputError that names it."""

    def __init__(self, path: Path):
        self.path = Path(path)
        with self._readable("it is not a whole npz archive"), open(self.path, "rb") as file:
            if file.read(2) != b"PK":  # what every zip file begins with
                raise zipfile.BadZipFile("no zip header")
            with zipfile.ZipFile(self.path) as members:
                self.keys = {name.removesuffix(".npy") for name in members.namelist()}

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def array(self, key: str) -> np.ndarray:
        """The array called `key`, of any shape and dtype but Python objects."""
        if key not in self:
            raise InputError(f"Missing array `{key}` in {self.path}. It holds: {', '.join(sorted(self.keys))}")
        with self._readable(f"its array `{key}` is damaged"):
            with np.load(self.path, allow_pickle=False) as arrays:
                array = arrays[key]
            if not isinstance(array, np.ndarray):  # a member that is no npy file comes back as bytes
                raise ValueError("not an array")
            return array

    @contextlib.contextmanager
    def _readable(self, complaint: str) -> Iterator[None]:
        try:
            yield
        except _UNREADABLE as error:
            detail = (str(error).splitlines() or [type(error).__name__])[0]
            if "pickle" in detail:
                detail = "it is no array but pickled Python objects, which are never loaded"
            raise InputError(f"Cannot read {self.path}: {complaint} ({detail})") from None


def as_images(array: np.ndarray, name: str, shape: tuple | None = None) -> np.ndarray:
    """Images as the system has them.

    Args:
        array: (N, H, W) or (N, H, W, 1 | 3), uint8 or floats in [0, 1], which are rounded to 256 levels.
        name: what messages call it.
        shape: (H, W, C) that they must have; None for any.

    Returns:
        (N, H, W, C) uint8.

    Raises:
        InputError: the array is anything else.
    """
    if array.ndim == 3:
        array = array[..., np.newaxis]
    fits = array.ndim == 4 and array.shape[3] in (1, 3) and array.size > 0
    check(fits, "must have shape (N, H, W), (N, H, W, 1) or (N, H, W, 3)", **{name: f"shape {array.shape}"})
    if shape is not None:
        check_shape((None, *shape), **{name: array})
    if array.dtype == np.uint8:
        return array
    check(array.dtype.kind == "f", "must have dtype uint8, or floats in [0, 1]", **{name: f"dtype {array.dtype}"})
    check(np.isfinite(array).all(), "must be finite", **{name: "NaN or infinity"})
    low, high = array.min(), array.max()
    check(0 <= low and high <= 1, "must lie in [0, 1] where they are floats", **{name: f"from {low} to {high}"})
    return np.round(array.astype(np.float64) * 255).astype(np.uint8)


def as_labels(array: np.ndarray, name: str, length: int, limit: int) -> np.ndarray:
    """(length,) int64 labels in [0, limit), from integers of shape (length,) or (length, 1); else InputError."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    check_shape((length,), **{name: array})
    check_ids(limit, **{name: array})
    return array.astype(np.int64)
