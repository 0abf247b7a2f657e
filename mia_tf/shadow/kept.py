"""Arrays that one pass over the examples writes and a later one reads: in memory, or in files if they are large."""

from pathlib import Path

import numpy as np

LARGEST_IN_MEMORY = 1 << 30
"""Bytes that an audit keeps in memory; above this they go to files of a scratch folder."""


class Kept:
    """Arrays by name, appended in pieces along their first axis."""

    def __init__(self, folder: Path | None = None):
        """Keeps the arrays in files of this folder; None: in memory."""
        self._folder = folder
        self._pieces: dict[str, list[np.ndarray]] = {}
        self._rows: dict[str, int] = {}
        self._like: dict[str, np.ndarray] = {}

    def append(self, name: str, piece: np.ndarray) -> None:
        """Adds the next rows of an array.

        Raises:
            OSError: the disk is full.
        """
        if self._folder is None:
            self._pieces.setdefault(name, []).append(piece)
            return
        with open(self._folder / name, "ab") as file:  # not tofile, whose errors do not say that the disk is full
            file.write(np.ascontiguousarray(piece).data)
        self._rows[name] = self._rows.get(name, 0) + len(piece)
        self._like[name] = np.empty((0, *piece.shape[1:]), piece.dtype)

    def read(self, name: str) -> np.ndarray:
        """All rows that were appended. A file's array stays readable after its folder is removed."""
        if self._folder is None:
            pieces = self._pieces[name]
            if len(pieces) > 1:
                pieces[:] = [np.concatenate(pieces)]
            return pieces[0]
        like = self._like[name]
        return np.memmap(self._folder / name, like.dtype, "r", shape=(self._rows[name], *like.shape[1:]))


class Scores:
    """The scores of one attack on T targets, written in blocks of examples."""

    def __init__(self, kept: Kept, name: str, num_targets: int):
        self._kept = kept
        self._name = name
        self.num_targets = num_targets

    def append(self, scores: np.ndarray) -> None:
        """Adds the (n, M) scores of the next examples, as float32: what lies beyond its range becomes its largest."""
        limit = np.finfo(np.float32).max
        self._kept.append(self._name, np.clip(scores[:, : self.num_targets], -limit, limit).astype(np.float32))

    def array(self) -> np.ndarray:
        """(N, T) float32."""
        return self._kept.read(self._name)
