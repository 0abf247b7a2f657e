import numpy as np
import pytest

from mia_tf.data.mixtures import like_mnist
from mia_tf.data.rendered_digits import _FONTS, _GLYPH, _Glyphs, render


@pytest.fixture(scope="module")
def pictures():
    """1,000 pictures and their labels, all labels in turn."""
    labels = np.arange(1000) % 10
    return render(labels, np.random.default_rng(0)), labels


def test_shape_and_no_labels():
    images = render(np.array([3, 7]), np.random.default_rng(0))
    assert images.shape == (2, 32, 32, 3) and images.dtype == np.uint8
    assert render(np.array([], int), np.random.default_rng(0)).shape == (0, 32, 32, 3)


def test_equal_seeds_agree_and_different_seeds_differ(pictures):
    images, labels = pictures
    again = render(labels[:20], np.random.default_rng(0))
    assert np.array_equal(again, images[:20])
    assert (render(labels[:20], np.random.default_rng(1)) != again).any(axis=(1, 2, 3)).all()


def test_pictures_are_distinct(pictures):
    images, _ = pictures
    assert len({image.tobytes() for image in like_mnist(images)}) == len(images)


def test_every_typeface_has_ten_different_digits():
    glyphs = _Glyphs()
    for font in _FONTS:
        shapes = [glyphs.shape(font, digit, stroke=0) for digit in range(10)]
        assert all(shape.height == _GLYPH for shape in shapes)
        assert len({np.asarray(shape).tobytes() for shape in shapes}) == 10  # no "missing" boxes


def test_a_classifier_learns_the_labels(pictures):
    from sklearn.svm import SVC

    images, labels = pictures
    features = like_mnist(images).reshape(len(images), -1).astype(np.float64)
    features -= features.mean(axis=1, keepdims=True)
    features /= features.std(axis=1, keepdims=True)
    accuracy = SVC(C=10).fit(features[:500], labels[:500]).score(features[500:], labels[500:])
    # Chance is 0.10 with a standard error of 0.013; wrong labels would end there. It was 0.54 on 500 like these.
    assert accuracy > 0.35


def test_they_resemble_svhn(pictures):
    """The statistics of 1,000 real SVHN digits, as experiments/sheets.py measured them."""
    images, _ = pictures
    grey = like_mnist(images)[..., 0].astype(np.float64)
    contrast = grey.std(axis=(1, 2))
    gradient = np.sqrt(((np.diff(grey, axis=1) ** 2).mean((1, 2)) + (np.diff(grey, axis=2) ** 2).mean((1, 2))) / 2)
    saturation = np.ptp(images.astype(np.float64), axis=3).mean(axis=(1, 2))
    # A fifth is many standard errors of a mean of 1,000, and far less than the spread of SVHN's own pictures.
    measured = [grey.mean(), contrast.mean(), gradient.mean(), saturation.mean()]
    np.testing.assert_allclose(measured, [116.7, 29.6, 12.1, 21.4], rtol=0.2)
