"""Reads npz archives of images and labels. Nothing in an archive is ever unpickled."""

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.files import UNREADABLE, first_line
from mia_tf.labels import normalize_labels
from mia_tf.validation import InputError, check, check_ids, check_shape, part_of

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Version of the npy format -> what reads its header. Version 3 is for names of fields, which pictures lack."""
_BLOCK_BYTES = 1 << 22
"""Bytes of a stored array that are in memory at a time."""


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

    def __init__(self, path: Path, argument: str = "dataset"):
        """Takes the file, and the flag that gave it or its folder, which an InputError names."""
        self.path = Path(path)
        self.argument = argument
        with self._readable("it is not a whole npz archive"), open(self.path, "rb") as file:
            if file.read(2) != b"PK":  # what every zip file begins with
                raise zipfile.BadZipFile("no zip header")
            with zipfile.ZipFile(self.path) as members:
                self._members = {name.removesuffix(".npy"): name for name in members.namelist()}
        self.keys = frozenset(self._members)

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def title(self, key: str) -> str:
        """What checks call the array called `key`."""
        return part_of(self.argument, f"{key} in {self.path}")

    def array(self, key: str) -> np.ndarray:
        """The array called `key`, of any shape and dtype but Python objects."""
        self._check_present(key)
        with self._readable(f"its array `{key}` is damaged"):
            with np.load(self.path, allow_pickle=False) as arrays:
                array = arrays[key]
            if not isinstance(array, np.ndarray):  # a member that is no npy file comes back as bytes
                raise ValueError("not an array")
            return array

    def stored(self, key: str) -> StoredArray:
        """The array called `key`, to be read in blocks so that it never lies in memory as a whole."""
        self._check_present(key)
        with self._opened(key) as (_, shape, by_column, dtype):
            pass
        if by_column and len(shape) > 1:  # examples are scattered over the whole file
            whole = self.array(key)
            rows = _rows_per_block(shape, dtype)
            return StoredArray(shape, dtype, lambda: (whole[i : i + rows] for i in range(0, len(whole), rows)))
        return StoredArray(shape, dtype, lambda: self._blocks(key))

    def _blocks(self, key: str) -> Iterator[np.ndarray]:
        with self._opened(key) as (file, shape, _, dtype):
            rows = _rows_per_block(shape, dtype)
            for start in range(0, shape[0], rows):
                block = (min(rows, shape[0] - start), *shape[1:])
                data = file.read(dtype.itemsize * math.prod(block))
                yield np.frombuffer(data, dtype).reshape(block)  # too few bytes are a ValueError
            file.read(1)  # at its end the file is compared with its checksum

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[tuple]:
        """A member behind its npy header, with the shape, whether the order is Fortran's, and the dtype."""
        with (
            self._readable(f"its array `{key}` is damaged"),
            zipfile.ZipFile(self.path) as members,
            members.open(self._members[key]) as file,
        ):
            version = np.lib.format.read_magic(file)
            if version not in _HEADERS:
                raise ValueError(f"npy format {version}")
            shape, by_column, dtype = _HEADERS[version](file)
            if dtype.hasobject:
                raise ValueError("pickled")
            if dtype.itemsize * math.prod(shape) != members.getinfo(self._members[key]).file_size - file.tell():
                raise ValueError("its size is not that of its shape")
            yield file, shape, by_column, dtype

    def _check_present(self, key: str) -> None:
        if key not in self:
            line = f"Missing array `{key}` in {self.path}. It holds: {', '.join(sorted(self.keys))}"
            raise InputError(line, self.argument, self.path)

    @contextlib.contextmanager
    def _readable(self, complaint: str) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except UNREADABLE as error:
            detail = first_line(error)
            if "pickle" in detail:
                detail = (
                    "it is no array but pickled Python objects, which are never loaded: "
                    "convert strings with .astype(str), pictures of one shape with np.stack"
                )
            raise InputError(f"Cannot read {self.path}: {complaint} ({detail})", self.argument, self.path) from None


def _rows_per_block(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return max(1, _BLOCK_BYTES // max(1, dtype.itemsize * math.prod(shape[1:])))


def as_labels(array: np.ndarray, name: str, length: int, limit: int) -> np.ndarray:
    """(length,) int64 labels in [0, limit), from any form of numbers that `normalize_labels` takes; else InputError."""
    labels, classes = normalize_labels(array, argument=name)
    check(name, "strings", classes is None, "must be numbers")
    check_shape(name, labels, (length,))
    check_ids(name, labels, limit)
    return labels
