"""What is kept comes back as it was, from memory and from files."""

import numpy as np
import pytest

from mia_tf.shadow.kept import Kept, Scores


@pytest.fixture(params=["memory", "files"])
def both(request, tmp_path):
    return Kept(tmp_path if request.param == "files" else None)


def test_arrays_come_back_as_they_were_appended(both):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(7, 2, 3)), "b": rng.random((7, 4)).astype(np.float32)}
    for rows in (slice(0, 4), slice(4, 5), slice(5, 7)):
        for name, array in arrays.items():
            both.append(name, array[rows])
    for name, array in arrays.items():
        read = both.read(name)
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype


def test_a_file_can_be_read_after_its_folder_is_gone(tmp_path):
    """The scores of an Audit outlive the scratch folder."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    files = Kept(folder)
    files.append("a", np.arange(5.0))
    read = files.read("a")
    (folder / "a").unlink()
    np.testing.assert_array_equal(read, np.arange(5.0))


def test_scores_come_back_as_float32_without_the_models_that_are_no_targets(both):
    scores = np.random.default_rng(0).normal(size=(10, 5))
    scores[2, 1], scores[3, 1] = np.nan, 1e300
    table = Scores(both, "scores", 3)
    for rows in (slice(0, 4), slice(4, 5), slice(5, 10)):
        table.append(scores[rows])
    expected = np.minimum(scores[:, :3], np.finfo(np.float32).max).astype(np.float32)
    np.testing.assert_array_equal(table.array(), expected)
