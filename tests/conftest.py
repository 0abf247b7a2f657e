"""Fixtures that the tests share."""

import pytest
from toys import make_dataset

from mia_tf.records import Dataset


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()
