"""The readings of augMNIST: what is done to the pictures, and to which."""

import numpy as np
import pytest

from experiments import augmnist_readings as module
from experiments.augmnist_readings import READINGS, Reading, augmented, write_archive
from mia_tf.data.pixmix import pixmix


def images(count=40):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)


def test_the_first_reading_is_that_of_the_mixture():
    assert next(iter(READINGS.values())) == Reading()
    mixed = augmented(images(), images(3), Reading(), np.random.default_rng(1))
    assert np.array_equal(mixed, pixmix(images(), images(3), np.random.default_rng(1)))


def test_pictures_are_moved_and_mirrored_before_they_are_mixed(monkeypatch):
    monkeypatch.setattr(module, "pixmix", lambda images, pictures, rng, least: images)
    one = np.zeros((500, 28, 28, 1), np.uint8)
    one[:, 10, 5] = 255
    mixed = augmented(one, None, Reading(crop=True, mirror=True), np.random.default_rng(2))
    _, rows, columns, _ = np.nonzero(mixed)
    assert set(rows) == set(range(6, 15))  # 10, four pixels up or down at most
    assert set(columns) == {*range(1, 10), *range(27 - 9, 27)}  # 5, moved as far, or the same from the right


@pytest.mark.parametrize("reading", [Reading(), Reading(least=4, crop=True)])
def test_the_mixture_has_the_same_digits_under_every_reading_and_none_twice(tmp_path, monkeypatch, reading):
    monkeypatch.setattr(module, "augmented", lambda images, *_: 255 - images)
    for name, size in (("NUM_OVER", 20), ("NUM_UNDER", 10), ("NUM_TEST", 8)):
        monkeypatch.setattr(module, name, size)
    mnist = {}
    for split, count in (("train", 50), ("test", 16)):
        mnist[f"x_{split}"] = np.repeat(np.arange(count, dtype=np.uint8), 784).reshape(-1, 28, 28)
        mnist[f"y_{split}"] = np.arange(count) % 10
    path = tmp_path / "made" / "mixture.npz"
    unseen = write_archive(path, mnist, reading, np.random.default_rng(3))
    with np.load(path) as made:
        under = made["group_train"] == 1
        assert under.sum() == 10 and len(under) == 30 and made["group_test"].sum() == 8
        digits = np.where(under, 255 - made["x_train"][:, 0, 0, 0], made["x_train"][:, 0, 0, 0])
        assert len(set(digits)) == 30 and np.array_equal(made["y_train"], digits % 10)
        expected = np.random.default_rng(3).permutation(50)[:30]
        assert np.array_equal(digits, expected)
        assert np.array_equal(unseen, made["x_test"][8:])
