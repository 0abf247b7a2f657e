"""Ways in which a file that a command reads can be wrong, each drawn from a seed."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

_HUGE_LENGTH = 10**15


class Payload:
    """A pickled object that makes a file when it is loaded, by which a command that unpickles gives itself away."""

    def __init__(self, path: Path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


def mutate(path: Path, rng: np.random.Generator, trap: Path) -> str:
    """Makes a file wrong in one way; returns which.

    Args:
        path: an .npz, .npy, .json or .csv file, or a text file.
        rng: draws the way and its details.
        trap: what unpickling the file would make.
    """
    ways = {**_OF_ANY, **_BY_SUFFIX.get(path.suffix, {})}
    name = list(ways)[rng.integers(len(ways))]
    ways[name](path, rng, trap)
    return name


# ---- any file


def _truncated(path: Path, rng: np.random.Generator, _: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(1, len(content))])


def _empty(path: Path, *_) -> None:
    path.write_bytes(b"")


def _flipped(path: Path, rng: np.random.Generator, _: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, min(len(content), 400), 3):
        content[place] = rng.integers(256)
    path.write_bytes(content)


def _noise(path: Path, rng: np.random.Generator, _: Path) -> None:
    path.write_bytes(rng.bytes(300))


def _link_to_itself(path: Path, *_) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _link_to_nothing(path: Path, *_) -> None:
    path.unlink()
    path.symlink_to("no-such-file")


def _folder(path: Path, *_) -> None:
    path.unlink()
    path.mkdir()


_OF_ANY: dict[str, Callable] = {
    "truncated": _truncated,
    "of zero length": _empty,
    "bytes flipped": _flipped,
    "noise": _noise,
    "a link to itself": _link_to_itself,
    "a link to nothing": _link_to_nothing,
    "a folder": _folder,
}


# ---- arrays


def _other_type(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kinds = ("f2", "f8", "c16", "U5", "S5", "?", "i1", "u8", "M8[s]", "m8[s]")
    return np.resize(np.arange(7), array.shape).astype("i8").astype(kinds[rng.integers(len(kinds))])


def _of_records(array: np.ndarray, _) -> np.ndarray:
    return np.zeros(array.shape, [("a", "f4"), ("b", "i4")])


def _with_nan(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    values = np.resize(array.astype(np.float32) if array.dtype.kind in "biuf" else 0.0, array.shape).astype(np.float32)
    values.flat[rng.integers(max(1, values.size))] = (np.nan, np.inf, -np.inf)[rng.integers(3)]
    return values


def _huge_values(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kinds = (1e300, -1e300, np.float32(3e38), np.int64(2**63 - 1), np.int64(-(2**63)), np.uint64(2**64 - 1))
    return np.full(array.shape, kinds[rng.integers(len(kinds))])


def _other_shape(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shapes = [
        array[:0],
        array[..., None],
        array.reshape(-1)[:1].reshape(()),
        array[:-1],
        np.concatenate([array, array]),
    ]
    shapes += [array.reshape(-1), array[None], array[:1], np.zeros((len(array), 0), array.dtype)]
    return shapes[rng.integers(len(shapes))]


_OF_ARRAYS = {
    "of another type": _other_type,
    "of records": _of_records,
    "NaN or infinity": _with_nan,
    "huge values": _huge_values,
    "of another shape": _other_shape,
}


def _saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=array.dtype.hasobject)
    return buffer.getvalue()


def _pickled(shape: tuple[int, ...], trap: Path) -> bytes:
    objects = np.empty(shape, object)
    objects[...] = Payload(trap)
    return _saved(objects)


def _huge_header(array: np.ndarray, rng: np.random.Generator) -> bytes:
    lengths = [(_HUGE_LENGTH, *array.shape[1:]), (-1, *array.shape[1:]), (2**70,), (10**9, 10**9, 10**9)]
    buffer = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": bool(rng.integers(2)), "shape": lengths[rng.integers(4)]}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + array.tobytes()


def _array_file(change: Callable) -> Callable:
    """What rewrites an .npy file with a changed array."""
    return lambda path, rng, _: path.write_bytes(_saved(change(np.load(path), rng)))


def _pickle_in_place(path: Path, _, trap: Path) -> None:
    path.write_bytes(_pickled(np.load(path).shape, trap))


def _bare_pickle(path: Path, _, trap: Path) -> None:
    import pickle

    path.write_bytes(pickle.dumps(Payload(trap)))


def _npz_in_place(path: Path, *_) -> None:
    array = np.load(path)
    with open(path, "wb") as file:
        np.savez(file, array)


def _huge_in_place(path: Path, rng: np.random.Generator, _: Path) -> None:
    path.write_bytes(_huge_header(np.load(path), rng))


# ---- archives


def _in_archive(change: Callable[[np.ndarray, np.random.Generator, Path], bytes | None]) -> Callable:
    """What replaces one array of an .npz file by other bytes, or leaves it out."""

    def replace(path: Path, rng: np.random.Generator, trap: Path) -> None:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        chosen = sorted(arrays)[rng.integers(len(arrays))]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, array in arrays.items():
                content = change(array, rng, trap) if name == chosen else _saved(array)
                if content is not None:
                    file.writestr(f"{name}.npy", content)

    return replace


_ARCHIVED = {
    f"an array {name}": _in_archive(lambda array, rng, _, change=change: _saved(change(array, rng)))
    for name, change in _OF_ARRAYS.items()
}
_ARCHIVED |= {
    "an array pickled": _in_archive(lambda array, _, trap: _pickled(array.shape, trap)),
    "an array of a huge shape": _in_archive(lambda array, rng, _: _huge_header(array, rng)),
    "an array missing": _in_archive(lambda *_: None),
    "an array truncated": _in_archive(lambda array, rng, _: _saved(array)[: rng.integers(10, 140)]),
    "pickled": _bare_pickle,
}


# ---- JSON and CSV


def _other_value(path: Path, rng: np.random.Generator, _: Path) -> None:
    content = json.loads(path.read_text())
    values = [None, True, -1, 2.5, 10**30, float("nan"), "x", "", [], [1, "x"], {}, {"x": [1]}]
    content[sorted(content)[rng.integers(len(content))]] = values[rng.integers(len(values))]
    path.write_text(json.dumps(content))


def _without_key(path: Path, rng: np.random.Generator, _: Path) -> None:
    content = json.loads(path.read_text())
    del content[sorted(content)[rng.integers(len(content))]]
    path.write_text(json.dumps(content))


def _other_json(path: Path, rng: np.random.Generator, _: Path) -> None:
    texts = ["[]", "null", "NaN", "1e999", "7" * 5000, "[" * 100_000, '{"a":' * 100_000, '"text"', '{"a": 1} {}', "{}"]
    path.write_text(texts[rng.integers(len(texts))])


def _other_encoding(path: Path, *_) -> None:
    path.write_bytes(path.read_text().encode("utf-16"))


def _other_cell(path: Path, rng: np.random.Generator, _: Path) -> None:
    lines = [line.split(",") for line in path.read_text().splitlines()]
    row = rng.integers(1, len(lines)) if len(lines) > 1 else 0
    cells = ["nan", "inf", "-1e308", "1e400", "", "x", "1" * 400, "-1", "2.5", '"', "\0", "9" * 140_000]
    lines[row][rng.integers(len(lines[row]))] = cells[rng.integers(len(cells))]
    path.write_text("\n".join(map(",".join, lines)) + "\n")


def _without_column(path: Path, rng: np.random.Generator, _: Path) -> None:
    lines = [line.split(",") for line in path.read_text().splitlines()]
    place = rng.integers(len(lines[0]))
    path.write_text("".join(",".join(line[:place] + line[place + 1 :]) + "\n" for line in lines))


def _without_rows(path: Path, *_) -> None:
    path.write_text(path.read_text().splitlines()[0] + "\n")


def _rows_twice(path: Path, *_) -> None:
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *rows, *rows]) + "\n")


_BY_SUFFIX: dict[str, dict[str, Callable]] = {
    ".npy": {name: _array_file(change) for name, change in _OF_ARRAYS.items()}
    | {
        "pickled objects": _pickle_in_place,
        "pickled": _bare_pickle,
        "an archive": _npz_in_place,
        "of a huge shape": _huge_in_place,
    },
    ".npz": _ARCHIVED,
    ".json": {
        "another value": _other_value,
        "a value missing": _without_key,
        "other JSON": _other_json,
        "UTF-16": _other_encoding,
    },
    ".csv": {
        "another cell": _other_cell,
        "a column missing": _without_column,
        "no rows": _without_rows,
        "rows twice": _rows_twice,
        "UTF-16": _other_encoding,
    },
}
