import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_tf.data.mixtures import like_mnist
from mia_tf.data.resampling import area_overlaps, resize_by_area, to_grey


def test_grey_weights_are_the_papers():
    primaries = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]], np.uint8)
    expected = [255 * 0.2989, 255 * 0.5870, 255 * 0.1140, 255 * 0.9999]
    np.testing.assert_allclose(to_grey(primaries)[0, 0] / 10_000, expected, rtol=1e-12)


@pytest.mark.parametrize(("colour", "grey"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)])
def test_a_constant_colour_becomes_its_grey_level_everywhere(colour, grey):
    # 76.2195, 149.685 and 29.07, rounded once.
    images = np.broadcast_to(np.array(colour, np.uint8), (2, 32, 32, 3))
    assert np.array_equal(like_mnist(images), np.full((2, 28, 28, 1), grey, np.uint8))


@given(st.integers(1, 40), st.integers(1, 40))
def test_overlaps_share_out_every_cell(old, new):
    overlaps = area_overlaps(old, new)
    assert (overlaps >= 0).all()
    assert (overlaps.sum(axis=1) == old).all()
    assert (overlaps.sum(axis=0) == new).all()


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_a_constant_picture_stays_constant(level):
    grey = np.full((1, 32, 32), level * 10_000)
    assert (resize_by_area(grey, 28) == level).all()


def test_equal_sizes_change_nothing():
    grey = np.random.default_rng(0).integers(0, 256, (3, 9, 9))
    assert np.array_equal(resize_by_area(grey * 10_000, 9)[..., 0], grey)


def test_halving_is_the_mean_of_four():
    picture = np.array([[[1, 2, 10, 10], [3, 4, 10, 10], [0, 0, 255, 255], [0, 1, 255, 254]]])
    # Means 2.5, 10, 0.25 and 254.75, halves rounded up.
    assert np.array_equal(resize_by_area(picture * 10_000, 2)[0, ..., 0], [[3, 10], [0, 255]])


def test_a_picture_keeps_its_mean():
    images = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    means = (images @ np.array([0.2989, 0.5870, 0.1140])).mean(axis=(1, 2))
    # Only rounding moves it: 784 errors of at most half a level, standard deviation of their mean 0.29 / 28 = 0.01.
    np.testing.assert_allclose(like_mnist(images).mean(axis=(1, 2, 3)), means, atol=0.06)


def test_against_the_picture_magnified_28_times_and_cut_in_blocks_of_32():
    # On a grid of 896 = 32 * 28 points every old and every new pixel is a whole block: no overlap to work out.
    images = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    grey = images.astype(np.int64) @ np.array([2989, 5870, 1140])
    magnified = grey.repeat(28, axis=1).repeat(28, axis=2)
    sums = magnified.reshape(2, 28, 32, 28, 32).sum(axis=(2, 4))
    expected = np.floor(sums / (10_000 * 32 * 32) + 0.5)
    assert np.array_equal(like_mnist(images)[..., 0], expected)


def test_long_and_short_runs_agree():
    images = np.random.default_rng(3).integers(0, 256, (4100, 6, 6, 3), dtype=np.uint8)
    together = resize_by_area(to_grey(images), 5)
    assert np.array_equal(together[4090:], resize_by_area(to_grey(images[4090:]), 5))
