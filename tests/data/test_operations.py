import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mia_tf.data.operations import OPERATIONS, apply


def _picture(seed=0, shape=(28, 20, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _apply(name, image, strength, seed=0):
    return apply(name, image, strength, np.random.default_rng(seed))


def test_all_of_the_published_operations_are_there():
    published = "autocontrast equalize posterize rotate solarize shear_x shear_y translate_x translate_y"
    assert set(OPERATIONS) == {*published.split(), "color", "contrast", "brightness", "sharpness"}


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), strength=st.floats(0, 1), height=st.integers(8, 33), width=st.integers(8, 33))
def test_shape_dtype_input_and_channels(name, seed, strength, height, width):
    grey = _picture(seed, (height, width, 1))
    before = grey.copy()
    of_grey = _apply(name, grey, strength, seed)
    assert np.array_equal(grey, before)
    assert of_grey.shape == grey.shape and of_grey.dtype == np.uint8
    of_colour = _apply(name, np.repeat(grey, 3, axis=2), strength, seed)
    # A colour picture without colour stays so, and is what the grey one is.
    assert np.array_equal(of_colour, np.repeat(of_grey, 3, axis=2))


@pytest.mark.parametrize(
    ("name", "strength"),
    [(name, 0.0) for name in ("rotate", "solarize", "shear_x", "shear_y", "translate_x", "translate_y")]
    + [(name, 0.5) for name in ("color", "contrast", "brightness", "sharpness")],
)
def test_the_strength_that_changes_nothing(name, strength):
    assert np.array_equal(_apply(name, _picture(), strength), _picture())


def test_translations_are_by_a_third_at_most_and_bring_in_black():
    image = _picture() | 1  # nothing is black
    for name, axis, length in (("translate_y", 0, 28), ("translate_x", 1, 20)):
        for strength in (0.2, 0.4, 1.0):
            pixels = int(length / 3 * strength)
            moved = np.moveaxis(image, axis, 0)
            black = np.zeros_like(moved[:pixels])
            expected = {
                np.moveaxis(np.concatenate(parts), 0, axis).tobytes()
                for parts in ((black, moved[:-pixels]), (moved[pixels:], black))
            }
            # Both directions turn up in 20 draws but for one time in 500,000.
            assert {_apply(name, image, strength, seed).tobytes() for seed in range(20)} == expected


def test_shears_leave_the_first_line_and_move_the_last_by_their_share():
    image = np.zeros((28, 28, 1), np.uint8)
    image[:, 10:18] = 200
    for name, sheared in (("shear_x", image), ("shear_y", image.transpose(1, 0, 2))):
        results = [_apply(name, sheared, 1.0, seed)[..., 0].astype(float) for seed in range(20)]
        places = np.arange(28)
        for result in results:
            rows = result if name == "shear_x" else result.T
            centre = rows @ places / rows.sum(axis=1)
            assert centre[0] == pytest.approx(13.5, abs=0.2)
            # Row y is taken from 0.3 (y + 1/2) pixels further: 8.25 at the last of 28.
            assert abs(centre[-1] - 13.5) == pytest.approx(8.25, abs=0.2)


def test_rotations_are_by_at_most_30_degrees():
    image = np.zeros((41, 41, 1), np.uint8)
    image[19:22, 20:] = 255  # a ray from the centre to the right
    y, x = np.indices((41, 41)) - 20
    for strength, degrees in ((0.4, 12), (1.0, 30)):
        angles = set()
        for seed in range(20):
            rotated = _apply("rotate", image, strength, seed)[..., 0]
            angles.add(round(np.degrees(np.arctan2(-(rotated * y).sum(), (rotated * x).sum()))))
        assert angles == {degrees, -degrees}


def test_grey_levels_by_closed_forms():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(_apply("solarize", levels, 0.25), np.where(levels < 192, levels, 255 - levels))
    for strength, bits in ((0.2, 4), (0.39, 3), (0.6, 2), (0.8, 1), (1.0, 1)):
        step = 256 >> bits
        assert np.array_equal(_apply("posterize", levels, strength), levels // step * step)
    brighter = 0.82 * levels.astype(float)
    assert np.abs(_apply("brightness", levels, 0.4) - brighter).max() <= 1
    middle = round(levels.mean())
    assert np.abs(_apply("contrast", levels, 0.4) - (middle + 0.82 * (levels.astype(float) - middle))).max() <= 1


def test_autocontrast_takes_the_whole_range_and_equalize_keeps_the_order():
    image = _picture(shape=(28, 28, 1)) // 4 + 90
    stretched = _apply("autocontrast", image, 0.4)
    assert stretched.min() == 0 and stretched.max() >= 254  # Pillow rounds down
    equal = _apply("equalize", image, 0.4).ravel()
    assert (np.diff(equal[np.argsort(image.ravel(), kind="stable")].astype(int)) >= 0).all()
    assert equal.std() == pytest.approx(np.arange(256).std(), rel=0.05)  # of grey levels that are all as frequent


def test_little_colour_or_sharpness_is_less_of_it():
    image = _picture()
    saturation = lambda pixels: np.ptp(pixels.astype(int), axis=2).mean()  # noqa: E731
    assert saturation(_apply("color", image, 0.0)) == pytest.approx(0.1 * saturation(image), rel=0.05)
    roughness = lambda pixels: np.abs(np.diff(pixels.astype(int), axis=0)).mean()  # noqa: E731
    assert roughness(_apply("sharpness", image, 0.0)) < 0.6 * roughness(image)
