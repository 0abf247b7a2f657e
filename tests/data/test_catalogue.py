import pytest

from mia_tf.data import embedded
from mia_tf.data.catalogue import SOURCES, how_to_get


def test_the_catalogue_lists_the_stand_ins_that_exist():
    assert [name for name in SOURCES if SOURCES[name].embedded] == list(embedded.READERS)


@pytest.mark.parametrize("name", SOURCES)
def test_how_to_get_names_only_what_the_catalogue_has(name):
    source, answer = SOURCES[name], how_to_get(name)
    assert "--data_dir=FOLDER" in answer
    assert ("--data_source=tfds" in answer) == (source.tfds_name is not None)
    assert ("--data_source=embedded" in answer) == source.embedded
    assert source.download in answer
