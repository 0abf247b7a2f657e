"""Fixtures that the tests of the executors share."""

import pytest
from fake_engines import CONFIG
from toys import make_dataset

from mia_tf.store import Store


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "run", CONFIG.to_dict(), make_dataset)


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").mkdir()
    return tmp_path / "log"
