"""Mixtures whose under-represented group is the over-represented data set under PixMix."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mia_tf.config import DataConfig
from mia_tf.data import embedded, load
from mia_tf.data.assembly import example_ids
from mia_tf.data.mixing_pictures import find
from mia_tf.data.mixtures import MIXTURES, Change
from mia_tf.data.pixmix import pixmix_until_changed
from mia_tf.data.resampling import resize_by_area, to_grey
from mia_tf.records import OVER, UNDER

NAMES = {"mnist_augmnist": "mnist", "cifar10_augcifar10": "cifar10"}
COUNT, TEST_COUNT = 120, 30  # of write_archives


@pytest.fixture(params=NAMES)
def load_augmented(request, write_archives):
    folder = write_archives([NAMES[request.param]])
    return lambda **settings: load(DataConfig(dataset=request.param, data_dir=folder, **settings))


@pytest.fixture
def originals(monkeypatch):
    """Images come out as they went in, and are recorded: what is chosen to be changed, training images first."""
    chosen = []

    def apply(images, labels, rng):
        chosen.append(set(example_ids(images)))
        return images, labels

    for name in NAMES:
        monkeypatch.setitem(MIXTURES, name, replace(MIXTURES[name], change_under=lambda folder: Change(apply)))
    return chosen


def test_originals_are_not_in_the_other_group_while_there_are_enough(load_augmented, originals):
    for num_over, num_under, shared in ((60, 60, 0), (30, 40, 0), (100, 20, 0), (100, 50, 30), (None, 40, 40)):
        originals.clear()
        dataset = load_augmented(num_over=num_over, num_under=num_under)
        over = set(dataset.example_ids[dataset.groups == OVER])
        assert len(originals[0]) == num_under
        assert len(originals[0] & over) == shared


def test_every_picture_is_changed(load_augmented):
    """In training and in testing: none has an original's pixels, though all originals are there too."""
    dataset = load_augmented(num_under=COUNT)
    under, over = (set(dataset.example_ids[dataset.groups == group]) for group in (UNDER, OVER))
    assert len(under) == len(over) == COUNT and under.isdisjoint(over)
    tested = example_ids(dataset.test_images)
    assert len(set(tested)) == 2 * TEST_COUNT and under.isdisjoint(tested)


def test_another_number_of_examples_changes_none_of_the_pictures(load_augmented):
    few, many = (load_augmented(num_over=40, num_under=n) for n in (10, COUNT))
    few, many = (set(dataset.example_ids[dataset.groups == UNDER]) for dataset in (few, many))
    assert few < many


def test_sources_say_what_is_mixed_in(load_augmented, tmp_path):
    source = "3 fractals rendered by mia_tf.data.fractals, not PixMix's 14,248"
    assert load_augmented(num_under=10).sources["mixing pictures"] == source
    (tmp_path / "pixmix").mkdir()
    Image.fromarray(np.full((50, 50, 3), 128, np.uint8)).save(tmp_path / "pixmix" / "grey.png")
    dataset = load_augmented(num_under=10)
    assert dataset.sources["mixing pictures"] == "1 of the 1 pictures in the folder pixmix"
    assert dataset.stand_in == ""


def test_grey_images_are_mixed_with_grey_pictures():
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(20)
    changed, same_labels = MIXTURES["mnist_augmnist"].change_under(None).apply(images, labels, np.random.default_rng(1))
    pictures = resize_by_area(to_grey(find(None).in_colour(28)), 28)
    assert np.array_equal(changed, pixmix_until_changed(images, pictures, np.random.default_rng(1)))
    assert np.array_equal(same_labels, labels)


def test_embedded_digits_can_be_augmented(monkeypatch, embedded_digits):
    monkeypatch.setitem(embedded.READERS, "mnist", lambda: embedded_digits)
    dataset = load(DataConfig(dataset="mnist_augmnist", data_source="embedded", num_over=300, num_under=100))
    assert dataset.group_names == ("MNIST (stand-in)", "augMNIST (stand-in)")
    assert np.bincount(dataset.labels[dataset.groups == UNDER]).tolist() == [10] * 10
    assert np.bincount(dataset.test_groups).tolist() == [1000, 1000]
