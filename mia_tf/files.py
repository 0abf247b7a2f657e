"""Reads files with one clear line for what is wrong with them; writes them whole or not at all."""

import contextlib
import csv
import io
import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mia_tf.validation import InputError


def load_array(path: Path, mmap_mode: str | None = None) -> np.ndarray:
    """Loads an .npy file; never unpickles, and says in one line what is wrong with a file."""
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"Missing file: {path}") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"Cannot read {path}: {str(error).splitlines()[0]}") from None


def load_json(path: Path) -> dict:
    """Loads a JSON file; says in one line what is wrong with it."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"Missing file: {path}") from None
    except (ValueError, OSError) as error:
        raise InputError(f"Cannot read {path}: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise InputError(f"Cannot read {path}: it holds no JSON object")
    return content


def load_arrays(path: Path) -> list[np.ndarray]:
    """Loads the arrays of an .npz file in the order they were saved; never unpickles."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"Cannot read {path}: {str(error).splitlines()[0]}") from None


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an .npy file, whole or not at all."""
    # Not np.save into the file: on a full disk it can lose the last block without an error.
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=False)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def write_arrays(path: Path, arrays: list[np.ndarray]) -> None:
    """Writes an .npz file of unnamed arrays, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def write_json(path: Path, content: dict) -> None:
    """Writes a JSON file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


class Table:
    """A CSV of LOGDIR/analysis by columns; says in one line what is wrong with it and how to make it anew."""

    def __init__(self, logdir: Path, name: str, may_be_empty: bool = False):
        self.path = logdir / "analysis" / name
        self.remedy = f"; make it with `python -m mia_tf.analyze --logdir={logdir}`"
        try:
            with open(self.path, newline="") as file:
                reader = csv.DictReader(file)
                self._lines = list(reader)
                self._columns = reader.fieldnames or ()
        except FileNotFoundError:
            raise InputError(f"Missing file: {self.path}{self.remedy}") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"Cannot read {self.path}: {error}{self.remedy}") from None
        if not self._lines and not may_be_empty:
            raise InputError(f"No rows in {self.path}{self.remedy}")
        if any(None in line or None in line.values() for line in self._lines):
            raise InputError(f"Rows of {self.path} must all have as many cells as its first{self.remedy}")

    def text(self, column: str) -> list[str]:
        """A column as it stands."""
        if column not in self._columns:
            raise InputError(f"No column {column} in {self.path}{self.remedy}")
        return [line[column] for line in self._lines]

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64, NaN for an empty cell."""
        cells = self.text(column)
        try:
            return np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            raise InputError(f"Column {column} of {self.path} must hold numbers{self.remedy}") from None

    def integers(self, column: str) -> np.ndarray:
        """A column as int64, no cell empty."""
        numbers = self.numbers(column)
        if not np.isfinite(numbers).all():
            raise InputError(f"Column {column} of {self.path} must have no empty cell{self.remedy}")
        return numbers.astype(np.int64)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place once written and on the disk."""
    with replacing_all([path]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def replacing_all(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Files to write beside the `paths`, which take their places once the last of them is on the disk."""
    temporaries = [path.with_name(f".{path.name}.{uuid.uuid4().hex}") for path in paths]
    try:
        yield temporaries
        for temporary in temporaries:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_to_fill(path: Path) -> Iterator[None]:
    """Makes a folder and its parents where they are missing; at the end, those of them that are empty go again."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it is not empty, or was never made
                folder.rmdir()
