"""Reads files with one clear line for what is wrong with them; writes them whole or not at all."""

import contextlib
import csv
import io
import json
import os
import re
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mia_tf.locks import locked
from mia_tf.validation import InputError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}")
"""Names of the files that `replacing_all` writes before they take their places."""


def by_number(name: str) -> tuple[list, str]:
    """Returns a key that sorts names with their numbers as numbers: experiment-9 before experiment-10."""
    return [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", name))], name


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


def read_csv(path: Path, columns: Mapping[str, str], remedy: str = ""):
    """Reads the columns of a CSV as a pandas DataFrame; says in one line what is wrong with it.

    Args:
        path: of the file, whose first line names its columns.
        columns: name -> "text", "number" (float64, NaN for an empty cell), "integer" (int64) or "maybe_integer"
            (pandas' Int64, missing for an empty cell). Other columns of the file are left out.
        remedy: ends each message; it says how to make the file anew.

    Raises:
        InputError: the file or a column is missing, or a cell is of another kind.
    """
    import pandas as pd  # here, because training does not need it

    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = filter(None, csv.reader(file))
    except FileNotFoundError:
        raise InputError(f"Missing file: {path}{remedy}") from None
    except (OSError, ValueError, csv.Error) as error:  # a file without a line is a ValueError
        raise InputError(f"Cannot read {path}: {error}{remedy}") from None
    if any(len(row) != len(header) for row in rows):
        raise InputError(f"Rows of {path} must all have as many cells as its first{remedy}")
    cells = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    frame = pd.DataFrame(index=range(len(rows)))
    for name, kind in columns.items():
        if name not in cells:
            raise InputError(f"No column {name} in {path}{remedy}")
        frame[name] = list(cells[name]) if kind == "text" else _numbers(name, cells[name], kind, path, remedy)
    return frame


def _numbers(name: str, cells: Sequence[str], kind: str, path: Path, remedy: str):
    """A column of cells as numbers of a kind."""
    try:
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        raise InputError(f"Column {name} of {path} must hold numbers{remedy}") from None
    if kind == "number":
        return numbers
    missing = np.isnan(numbers)
    whole = not np.isinf(numbers).any() and (numbers[~missing] % 1 == 0).all()
    if not whole or (kind == "integer" and missing.any()):
        raise InputError(f"Column {name} of {path} must hold whole numbers{remedy}")
    import pandas as pd

    return numbers.astype(np.int64) if kind == "integer" else pd.array(numbers, "Int64")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place once written and on the disk."""
    with replacing_all([path]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def replacing_all(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Files to write beside the `paths`, which take their places once the last of them is on the disk."""
    for folder in {path.parent for path in paths}:
        _remove_left_behind(folder)
    with contextlib.ExitStack() as locks:
        temporaries = [path.with_name(f".{path.name}.{uuid.uuid4().hex}") for path in paths]
        for temporary in temporaries:
            locks.enter_context(locked(temporary))  # makes it, and removes it if it could not take its place
        yield temporaries
        for temporary in temporaries:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)


def _remove_left_behind(folder: Path) -> None:
    """Removes the temporary files of a folder whose writers died; a living writer holds the lock of its own."""
    for path in folder.glob(".*.*"):
        if _TEMPORARY.fullmatch(path.name):
            with locked(path, wait=False):
                pass  # the lock's file is the temporary file, and goes with the lock


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes FOLDER/NAME for every name, all of them or none; returns their paths."""
    paths = [folder / name for name in texts]
    with replacing_all(paths) as temporaries:
        for temporary, text in zip(temporaries, texts.values(), strict=True):
            temporary.write_text(text, encoding="utf-8", newline="")
    return paths


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
