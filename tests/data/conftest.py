"""Fixtures of the tests of the data layer."""

import pytest
from synthetic_sources import synthetic_arrays, write_source

from mia_tf.data import embedded, mixing_pictures
from mia_tf.data.catalogue import SOURCES


@pytest.fixture
def write_archives(tmp_path):
    """Writes an archive or a folder of images for each source data set named, and gives their folder."""

    def write(names=tuple(SOURCES), **settings):
        for name in dict.fromkeys(names):
            write_source(tmp_path, name, synthetic_arrays(name, **settings))
        return str(tmp_path)

    return write


@pytest.fixture(scope="session")
def embedded_digits():
    """Read once: it takes seconds."""
    return embedded.read_mnist()


@pytest.fixture(autouse=True)
def few_fractals(monkeypatch):
    """Four hundred would take seconds."""
    monkeypatch.setattr(mixing_pictures, "NUM_FRACTALS", 3)


@pytest.fixture(autouse=True)
def no_folder_in_the_environment(monkeypatch):
    monkeypatch.delenv("MIA_TF_DATA", raising=False)
