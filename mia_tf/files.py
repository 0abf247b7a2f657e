"""Reads files with one clear line for what is wrong with them; writes them whole or not at all."""

import contextlib
import csv
import fnmatch
import hashlib
import io
import json
import os
import platform
import re
import struct
import time
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mia_tf.locks import locked
from mia_tf.validation import InputError, check, listed

UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, SyntaxError),
    *(EOFError, OSError, ValueError, TypeError, OverflowError, RuntimeError, MemoryError),
)
"""What zipfile and numpy raise on files of arrays that are damaged, encrypted, pickled or absurdly large."""
_LARGEST = 2**53
"""Of the numbers in JSON and CSV files; up to here a float64 holds every whole number."""
_HOST = hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()
"""Of this machine, in the names of its temporary files."""
_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})[0-9a-f]{24}")
"""Names of the files that `replacing_all` writes before they take their places, and in them the machine."""
_SECONDS_OF_A_DAY = 86400


def expanded(path: str | os.PathLike, argument: str = "logdir") -> Path:
    """Returns a path that a user gave, with `~` as the home folder. Nothing else is replaced: `$` stays as it is.

    Raises:
        InputError: it is empty, or no path; the message names the argument that gave it.
    """
    check(argument, repr(path), isinstance(path, str | os.PathLike) and str(path) != "", "must be a path")
    return Path(os.path.expanduser(path))


def by_number(name: str) -> tuple[list, str]:
    """Returns a key that sorts names with their numbers as numbers: experiment-9 before experiment-10."""
    return [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", name))], name


def load_array(path: Path, mmap_mode: Literal["r", "c"] | None = None, argument: str = "logdir") -> np.ndarray:
    """Loads an .npy file; never unpickles, and says in one line what is wrong with a file.

    Args:
        path: of the file.
        mmap_mode: as `np.load`.
        argument: the parameter or flag that gave the file's folder; an InputError names it.
    """
    try:
        with np.errstate(over="ignore"):  # a size that no integer holds is an error of its own
            array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"Missing file: {path}", argument, path) from None
    except UNREADABLE as error:
        raise InputError(f"Cannot read {path}: {first_line(error)}", argument, path) from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"Cannot read {path}: it is an archive of arrays, not one array", argument, path)
    return array


def load_json(
    path: Path, kinds: Mapping[str, str] | None = None, required: Sequence[str] = (), argument: str = "logdir"
) -> dict:
    """Loads a JSON file; says in one line what is wrong with it.

    Args:
        path: of the file, which holds an object.
        kinds: name -> "text", "texts" (a list), "texts by name" (an object), "integers by name", "number" (finite),
            "integer" or "flag"; null is allowed too if a "?" follows. A name may be a pattern, such as "test_*". Values
            of other names may be anything.
        required: names that must be there.
        argument: as in `load_array`.

    Raises:
        InputError: the file is missing, is no JSON object, or lacks a required name; or a value is of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"Missing file: {path}", argument, path) from None
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"Cannot read {path}: {first_line(error)}", argument, path) from None
    if not isinstance(content, dict):
        raise InputError(f"Cannot read {path}: it holds no JSON object", argument, path)
    if missing := [name for name in required if name not in content]:
        raise InputError(f"Cannot read {path}: it lacks {listed(missing)}", argument, path)
    for pattern, kind in (kinds or {}).items():
        for name in fnmatch.filter(content, pattern):
            if not _is_of(kind, content[name]):
                wanted = f"{kind.removesuffix('?')}{' or null' * kind.endswith('?')}"
                received = f"{name} must be {wanted}, not {json.dumps(content[name])[:60]}"
                raise InputError(f"Cannot read {path}: {received}", argument, path)
    return content


def _is_of(kind: str, value) -> bool:
    """Whether a value of a JSON file is of a kind of `load_json`."""
    match kind.removesuffix("?"):
        case _ if value is None:
            return kind.endswith("?")
        case "text":
            return isinstance(value, str)
        case "texts":
            return isinstance(value, list) and all(isinstance(text, str) for text in value)
        case "texts by name":
            return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
        case "integers by name":
            return isinstance(value, dict) and all(_is_of("integer", number) for number in value.values())
        case "flag":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
    raise ValueError(kind)


def load_arrays(path: Path, argument: str = "logdir") -> list[np.ndarray]:
    """Loads the arrays of an .npz file in the order they were saved; never unpickles. `argument` as in `load_array`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]
    except UNREADABLE as error:
        raise InputError(f"Cannot read {path}: {first_line(error)}", argument, path) from None


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its kind if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


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
    """Writes a JSON file, whole or not at all; NumPy's numbers as Python's."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=_of_numpy) + "\n", encoding="utf-8")


def _of_numpy(value):
    """A scalar of NumPy's as Python has it."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"JSON cannot hold {type(value).__name__}")


def read_csv(path: Path, columns: Mapping[str, str], remedy: str = "", argument: str = "logdir"):
    """Reads the columns of a CSV as a pandas DataFrame; says in one line what is wrong with it.

    Args:
        path: of the file, whose first line names its columns.
        columns: name -> "text"; "number" (float64, NaN for an empty cell; infinite, or in the range of a float32);
            "finite" (as "number", but at most 2**53); "integer" (int64); or "maybe_integer" (pandas' Int64, missing for
            an empty cell). Other columns of the file are left out.
        remedy: ends each message; it says how to make the file anew.
        argument: the parameter or flag that gave the file's folder; an InputError names it.

    Raises:
        InputError: the file or a column is missing, or a cell is of another kind.
    """
    import pandas as pd  # here, because training does not need it

    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = filter(None, csv.reader(file))
    except FileNotFoundError:
        raise InputError(f"Missing file: {path}{remedy}", argument, path) from None
    except (OSError, ValueError, csv.Error) as error:  # a file without a line is a ValueError
        raise InputError(f"Cannot read {path}: {first_line(error)}{remedy}", argument, path) from None
    if any(len(row) != len(header) for row in rows):
        raise InputError(f"Rows of {path} must all have as many cells as its first{remedy}", argument, path)
    cells = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    frame = pd.DataFrame(index=range(len(rows)))
    for name, kind in columns.items():
        if name not in cells:
            raise InputError(f"No column {name} in {path}{remedy}", argument, path)
        if kind == "text":
            frame[name] = pd.Series(cells[name], dtype=object)  # also without rows, which pandas takes for numbers
            continue
        try:
            frame[name] = _numbers(cells[name], kind)
        except ValueError as error:
            raise InputError(f"Column {name} of {path} {error}{remedy}", argument, path) from None
    return frame


def _numbers(cells: Sequence[str], kind: str):
    """A column of cells as numbers of a kind. Raises ValueError, whose text says what they must be."""
    try:
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        raise ValueError("must hold numbers") from None
    if kind == "number":
        if (np.abs(numbers[np.isfinite(numbers)]) > 1.0001 * float(np.finfo(np.float32).max)).any():
            raise ValueError("must hold no huge number")
        return numbers
    missing = np.isnan(numbers)
    finite = (np.abs(numbers[~missing]) <= _LARGEST).all()
    if kind == "finite":
        if not finite:
            raise ValueError("must hold no infinite or huge number")
        return numbers
    whole = finite and (numbers[~missing] % 1 == 0).all()
    if not whole or (kind == "integer" and missing.any()):
        raise ValueError("must hold whole numbers")
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
        temporaries = [path.with_name(f".{path.name}.{_HOST}{uuid.uuid4().hex[len(_HOST) :]}") for path in paths]
        for temporary in temporaries:
            locks.enter_context(locked(temporary))  # makes it, and removes it if it could not take its place
        yield temporaries
        for temporary in temporaries:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)


def _remove_left_behind(folder: Path) -> None:
    """Removes the temporary files of a folder whose writers died; a living writer holds the lock of its own.

    Those of other machines, whose locks may not reach this one, must be a day old besides.
    """
    for path in folder.glob(".*.*"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and (match[1] == _HOST or _age(path) > _SECONDS_OF_A_DAY):
            with locked(path, wait=False):
                pass  # the lock's file is the temporary file, and goes with the lock


def _age(path: Path) -> float:
    """Seconds since a file was last written; 0 if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes FOLDER/NAME for every name, all of them or none; returns their paths."""
    paths = [folder / name for name in texts]
    with replacing_all(paths) as temporaries:
        for temporary, text in zip(temporaries, texts.values(), strict=True):
            temporary.write_text(text, encoding="utf-8", newline="")
    return paths


@contextlib.contextmanager
def folder_to_fill(path: Path) -> Iterator[None]:
    """Makes a folder and its parents if they are missing; at the end, those of them that are empty go again."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it is not empty, or was never made
                folder.rmdir()
