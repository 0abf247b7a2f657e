"""The benchmark of the memory that an archive takes: all but its size."""

from experiments.benchmarks import archive_memory


def test_every_archive_is_measured_in_a_process_of_its_own(tmp_path):
    rows = list(archive_memory.rows(10_000, tmp_path))
    kinds = [(row["dtype"], row["compressed"], row["stage"]) for row in rows]
    archives = [(dtype, compressed) for dtype in ("uint8", "float32") for compressed in (False, True)]
    assert kinds == [(*archive, stage) for archive in archives for stage in archive_memory.STAGES]
    assert all(set(row) == set(archive_memory.COLUMNS) and row["uint8_mb"] == "8" for row in rows)
    assert all(float(row["memory_mb"]) > 8 for row in rows)
