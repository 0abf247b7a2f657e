"""Mixtures whose under-represented group is the over-represented data set under PixMix."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from refusals import refuses

from mia_tf.config import PIXMIX, DataConfig
from mia_tf.data import embedded, fingerprint, load
from mia_tf.data.assembly import example_ids
from mia_tf.data.mixing_pictures import find
from mia_tf.data.mixtures import MIXTURES, Change
from mia_tf.data.pixmix import READINGS, pixmix_until_changed
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
        monkeypatch.setitem(MIXTURES, name, replace(MIXTURES[name], change_under=lambda *_: Change(apply)))
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


@pytest.mark.parametrize("reading", PIXMIX)
def test_another_number_of_examples_changes_none_of_the_pictures(load_augmented, reading):
    few, many = (load_augmented(num_over=40, num_under=n, pixmix=reading) for n in (10, COUNT))
    few, many = (set(dataset.example_ids[dataset.groups == UNDER]) for dataset in (few, many))
    assert few < many


def test_sources_say_what_is_mixed_in(load_augmented, tmp_path):
    source = "3 fractals rendered by mia_tf.data.fractals, not PixMix's 14,248"
    sources = load_augmented(num_under=10, pixmix="published").sources
    assert sources["mixing pictures"] == source and "--pixmix=published" in sources["PixMix"]
    (tmp_path / "pixmix").mkdir()
    Image.fromarray(np.full((50, 50, 3), 128, np.uint8)).save(tmp_path / "pixmix" / "grey.png")
    dataset = load_augmented(num_under=10)
    assert dataset.sources["mixing pictures"] == "1 of the 1 pictures in the folder pixmix"
    assert dataset.stand_in == "" and "--pixmix=choi" in dataset.sources["PixMix"]


@pytest.mark.parametrize("reading", [None, *PIXMIX])
def test_grey_images_are_mixed_with_grey_pictures_by_the_reading(reading):
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(20)
    change = MIXTURES["mnist_augmnist"].change_under(None, reading)
    changed, same_labels = change.apply(images, labels, np.random.default_rng(1))
    pictures = resize_by_area(to_grey(find(None).in_colour(28)), 28)
    settings = READINGS[reading or "choi"]
    assert np.array_equal(changed, pixmix_until_changed(images, pictures, np.random.default_rng(1), **settings))
    assert np.array_equal(same_labels, labels)


def test_embedded_digits_can_be_augmented(monkeypatch, embedded_digits):
    monkeypatch.setitem(embedded.READERS, "mnist", lambda: embedded_digits)
    dataset = load(DataConfig(dataset="mnist_augmnist", data_source="embedded", num_over=300, num_under=100))
    assert dataset.group_names == ("MNIST (stand-in)", "augMNIST (stand-in)")
    assert np.bincount(dataset.labels[dataset.groups == UNDER]).tolist() == [10] * 10
    assert np.bincount(dataset.test_groups).tolist() == [1000, 1000]


@pytest.mark.parametrize("dataset", ["mnist_svhn", "cifar10", "npz:own.npz"])
@pytest.mark.parametrize("function", [load, fingerprint])
def test_a_reading_of_pixmix_is_refused_where_nothing_is_augmented(dataset, function):
    with refuses("pixmix", "choi", "needs --dataset=mnist_augmnist or cifar10_augcifar10"):
        function(DataConfig(dataset=dataset, pixmix="choi"))
