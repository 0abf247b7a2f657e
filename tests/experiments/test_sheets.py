import numpy as np

from experiments.sheets import CLASS_NAMES, by_label, grid
from mia_tf.data.catalogue import SOURCES

COLUMNS = 10


def test_a_row_holds_the_pictures_of_its_label():
    """Pictures of one grey level each, 20 times their label."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), [COLUMNS + 5] * 9 + [2]))
    images = (20 * labels[:, None, None, None] * np.ones((1, 4, 4, 1))).astype(np.uint8)
    picture = grid(by_label(images, labels, COLUMNS))
    assert picture.shape == (60, 6 * COLUMNS, 3)
    picture = picture.reshape(10, 6, COLUMNS, 6, 3)[:, 1:5, :, 1:5]  # less the white lines
    for label in range(9):
        assert (picture[label] == 20 * label).all()
    assert (picture[9][:, :2] == 180).all() and (picture[9][:, 2:] == 255).all()


def test_every_label_of_a_source_has_a_name():
    for source, names in CLASS_NAMES.items():
        assert len(set(names)) == SOURCES[source].num_classes
    assert CLASS_NAMES["cifar10"] == CLASS_NAMES["cinic10"] == SOURCES["cinic10"].classes
