"""Files are written whole or not at all, and what a killed writer left beside them goes."""

import signal
import subprocess
import sys

import pytest

from mia_tf.files import load_json, replacing, write_json, write_texts

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
