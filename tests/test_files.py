"""Files are written whole or not at all, and what a killed writer left beside them goes."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mia_tf.files import load_array, load_arrays, load_json, read_csv, replacing, write_json, write_texts
from mia_tf.validation import InputError

WRITE = (
    "import pathlib, sys; from mia_tf.files import replacing\n"
    "with replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
    "    temporary.write_text('half'); print(temporary.name, flush=True); sys.stdin.read()\n"
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failure_leaves_the_file_as_it_was(tmp_path):
    write_json(tmp_path / "a.json", {"n": 1})
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["a.json"] and load_json(tmp_path / "a.json") == {"n": 1}


def test_a_living_writers_file_stays_and_a_killed_ones_goes_with_the_next_write_in_the_folder(tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path / "epsilon.csv")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    temporary = writer.stdout.readline().strip()
    write_texts(tmp_path, {"attacks.csv": "a", ".hidden.txt": "b"})
    assert names(tmp_path) == sorted([temporary, ".hidden.txt", "attacks.csv"])
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    write_texts(tmp_path, {"attacks.csv": "c"})
    assert names(tmp_path) == [".hidden.txt", "attacks.csv"]


def test_another_machines_file_stays_for_a_day_because_its_lock_may_not_be_seen_here(tmp_path):
    recent, old = (tmp_path / f".a.csv.{digit * 32}" for digit in "01")
    for path in (recent, old):
        path.touch()
    os.utime(old, (time.time() - 90_000, time.time() - 90_000))
    write_texts(tmp_path, {"a.csv": "a"})
    assert names(tmp_path) == [recent.name, "a.csv"]


def header(shape):
    """An .npy file that says it has a shape, and holds twelve numbers."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + np.arange(12, dtype="f4").tobytes()


@pytest.mark.parametrize("mmap_mode", [None, "r"])
@pytest.mark.parametrize(
    "content",
    [
        header((10**15, 3)),
        header((2**70,)),
        header((10**9, 10**9, 10**9)),
        header((12,)).replace(b"}", b"("),
        b"",
        b"x",
    ],
    ids=["long", "longer than an integer", "larger than an integer", "broken", "empty", "a letter"],
)
@pytest.mark.filterwarnings("error")
def test_arrays_that_cannot_be_read_are_named(tmp_path, content, mmap_mode):
    """A broken header was once a tokenize.TokenError, and a shape that no memory holds a MemoryError."""
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"Cannot read .*a.npy: ."):
        load_array(tmp_path / "a.npy", mmap_mode)


def test_an_archive_is_no_array_and_an_array_no_archive(tmp_path):
    np.savez(tmp_path / "a.npz", np.arange(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(InputError, match=r"Cannot read .*a.npy: it is an archive of arrays, not one array"):
        load_array(tmp_path / "a.npy")
    (tmp_path / "b.npz").write_bytes(header((12,)))
    with pytest.raises(InputError, match=r"Cannot read .*b.npz"):
        load_arrays(tmp_path / "b.npz")


def test_numpys_numbers_are_written_as_pythons_and_other_objects_are_an_error(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"seed": np.int64(1), "pkeep": np.float32(0.5), "dp": np.True_})
    assert json.loads(path.read_text()) == {"seed": 1, "pkeep": 0.5, "dp": True}
    with pytest.raises(TypeError, match="ndarray"):
        write_json(path, {"seed": np.zeros(2)})


@pytest.mark.parametrize("content", ["[" * 100_000, "[1]", "{", "", b"\xff\xfe{"])
def test_json_that_is_none_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=r"Cannot read .*a.json: ."):
        load_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("text", ["", "a"], [None, 1, ["a"]]),
        ("texts", [[], ["a"]], [None, "a", [1], {"a": "b"}]),
        ("texts by name", [{}, {"a": "b"}], [None, [], {"a": 1}]),
        ("number", [1, -2.5], [None, True, "1", float("nan"), 10**400]),
        ("integer", [0, -3], [None, True, 1.5, 10**30]),
        ("integers by name", [{}, {"a": 1}], [None, [1], {"a": True}, {"a": 1.5}]),
        ("flag", [True, False], [None, 0, "true"]),
        ("text?", [None, "a"], [1]),
    ],
)
def test_values_of_json_are_of_their_kind(tmp_path, kind, right, wrong):
    for value in (*right, *wrong):
        write_json(tmp_path / "a.json", {"test_a": value, "other": 1})
        if any(value is one for one in right):
            assert load_json(tmp_path / "a.json", {"test_*": kind, "lacking": "text"})["test_a"] == value
        else:
            with pytest.raises(InputError, match=r"a.json: test_a must be "):
                load_json(tmp_path / "a.json", {"test_*": kind})
    with pytest.raises(InputError, match=r"a.json: it lacks b, c"):
        load_json(tmp_path / "a.json", required=["other", "b", "c"])


def test_numbers_that_no_integer_holds_are_refused(tmp_path):
    """1e300 once became the smallest of all integers, and -1e308 ended the drawing with an OverflowError."""
    (tmp_path / "a.csv").write_text("n\n1e300\n")
    with pytest.raises(InputError, match=r"Column n of .*a.csv must hold whole numbers"):
        read_csv(tmp_path / "a.csv", {"n": "integer"})
    with pytest.raises(InputError, match=r"Column n of .*a.csv must hold no infinite or huge number"):
        read_csv(tmp_path / "a.csv", {"n": "finite"})
    with pytest.raises(InputError, match=r"Column n of .*a.csv must hold no huge number"):
        read_csv(tmp_path / "a.csv", {"n": "number"})
    (tmp_path / "a.csv").write_text("n\n-inf\n3.402823466e+38\n")
    assert read_csv(tmp_path / "a.csv", {"n": "number"})["n"].tolist() == [-np.inf, 3.402823466e38]
    (tmp_path / "a.csv").write_text("n,m\n-0.5,1\n,2\n")
    assert read_csv(tmp_path / "a.csv", {"n": "finite"})["n"].isna().tolist() == [False, True]
