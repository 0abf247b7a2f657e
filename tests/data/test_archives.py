"""Arrays that are read from an archive in blocks."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from refusals import ANY, refuses

from mia_tf.data import archives
from mia_tf.data.archives import Archive


def _blocks(path):
    return list(Archive(path).stored("x").blocks())


def test_each_call_reads_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_BLOCK_BYTES", 100)
    array = np.arange(70, dtype=np.float32).reshape(10, 7)
    np.savez(tmp_path / "a.npz", x=array, empty=array[:0])
    stored = Archive(tmp_path / "a.npz").stored("x")
    assert stored.shape == (10, 7) and stored.dtype == np.float32
    for _ in range(2):
        blocks = list(stored.blocks())
        assert [len(block) for block in blocks] == [3, 3, 3, 1] and np.array_equal(np.concatenate(blocks), array)
    assert list(Archive(tmp_path / "a.npz").stored("empty").blocks()) == []


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_block_at_a_time_is_in_memory(tmp_path, save):
    save(tmp_path / "a.npz", x=np.zeros((64, 1 << 20), np.uint8))
    stored = Archive(tmp_path / "a.npz").stored("x")
    tracemalloc.start()
    try:
        assert sum(len(block) for block in stored.blocks()) == 64
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * archives._BLOCK_BYTES  # of 64 MB


def _npy(array, change=lambda content: content):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return change(file.getvalue())


@pytest.mark.parametrize(
    "content, refusal",
    [
        (b"", ("dataset", ANY, "its array `x` is damaged")),
        (b"text", ("dataset", ANY, "its array `x` is damaged")),
        (_npy(np.arange(5), lambda c: c[:-1]), ("dataset", ANY, "its size is not that of its shape")),
        (_npy(np.arange(5), lambda c: c + b"more"), ("dataset", ANY, "its size is not that of its shape")),
        (_npy(np.arange(5), lambda c: c.replace(b"(5,)", b"(99999999999999999999,)")), ("dataset", ANY, "damaged")),
        (_npy(np.arange(5), lambda c: c[:6] + b"\x03" + c[7:]), ("dataset", ANY, "npy format (3, 0)")),
        (
            _npy(np.array(["a", None], object)),
            ("dataset", ANY, "pickled Python objects, which are never loaded: convert"),
        ),
    ],
)
def test_what_is_no_array_is_told_in_one_line(tmp_path, content, refusal):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with refuses(*refusal):
        _blocks(tmp_path / "a.npz")


def test_a_changed_byte_is_found_at_the_end(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[4000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with refuses("dataset", advice="its array `x` is damaged (Bad CRC-32"):
        _blocks(tmp_path / "a.npz")


def test_a_missing_array_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", y=np.arange(3))
    with refuses("dataset", advice="Missing array `x` in"):
        Archive(tmp_path / "a.npz").stored("x")
