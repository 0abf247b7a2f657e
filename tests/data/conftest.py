"""Small synthetic archives in Keras' layout."""

import numpy as np
import pytest

from mia_tf.data.sources import SOURCES


def synthetic_arrays(name: str, per_label: int = 12, test_per_label: int = 3, seed: int = 0) -> dict:
    """Random images of the shape of source data set `name`, all labels equally often, rows in random order."""
    source = SOURCES[name]
    rng = np.random.default_rng([seed, len(name)])
    arrays = {}
    for split, count in (("train", per_label), ("test", test_per_label)):
        labels = rng.permutation(np.repeat(np.arange(source.num_classes), count)).astype(np.uint8)
        arrays[f"x_{split}"] = rng.integers(0, 256, (len(labels), *source.shape), dtype=np.uint8)
        arrays[f"y_{split}"] = labels
    return arrays


@pytest.fixture
def write_archives(tmp_path):
    """Writes an archive for each source data set named, and gives their folder."""

    def write(names=tuple(SOURCES), **settings):
        for name in names:
            np.savez(tmp_path / f"{name}.npz", **synthetic_arrays(name, **settings))
        return str(tmp_path)

    return write


@pytest.fixture(autouse=True)
def no_folder_in_the_environment(monkeypatch):
    monkeypatch.delenv("MIA_TF_DATA", raising=False)
