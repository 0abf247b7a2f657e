"""Pictures in every form that users have them in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import ANY, refuses

from mia_tf.data import archives
from mia_tf.data.archives import Archive
from mia_tf.data.pictures import read_pictures
from mia_tf.validation import InputError


def _pixels(*shape, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    pixels.flat[:2] = 0, 255
    return pixels


@pytest.fixture(params=[np.savez, np.savez_compressed])
def read(tmp_path, request):
    """Writes an array to an archive and reads it as pictures."""

    def reader(array, **settings):
        request.param(tmp_path / "a.npz", x=array)
        return read_pictures(Archive(tmp_path / "a.npz").stored("x"), "x", **settings)

    return reader


@pytest.fixture
def tiny_blocks(monkeypatch):
    """Blocks of a picture or two, of which the last is shorter."""
    monkeypatch.setattr(archives, "_BLOCK_BYTES", 900)


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, ">i4", np.int64, np.uint16, np.float16, np.float32, np.float64])
def test_blocks_make_up_the_whole(read, tiny_blocks, dtype, order, count):
    pixels = _pixels(count, 9, 7, 3)
    assert np.array_equal(read(np.asarray(pixels.astype(dtype), order=order)).images, pixels)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_are_levels_of_255(read, tiny_blocks, dtype):
    pixels = _pixels(5, 9, 7)
    pictures = read((pixels / 255).astype(dtype))  # 11 bits are enough to tell 256 levels apart
    assert np.array_equal(pictures.images[..., 0], pixels) and pictures.scale == 255
    assert pictures.changes == f"{np.dtype(dtype)} from 0 to 1 rounded to 256 levels"


def test_floats_from_0_to_255_are_levels(read):
    pixels = _pixels(5, 9, 7)
    pictures = read(pixels.astype(np.float32) + np.float32(0.3))
    assert np.array_equal(pictures.images[..., 0], pixels) and pictures.scale == 1
    assert pictures.changes == "float32 from 0 to 255 rounded to 256 levels"


def test_resizing_leaves_pixels_a_little_outside_of_the_range(read):
    pixels = _pixels(5, 9, 7)
    for slack in (2e-7, 1e-3):
        scaled = np.where(pixels == 255, 1 + slack, np.where(pixels == 0, -slack, pixels / 255))
        assert np.array_equal(read(scaled).images[..., 0], pixels)
    assert read(np.float32([[[0, 1.0000002]]])).images.ravel().tolist() == [0, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_are_put_last(read, tiny_blocks, channels):
    pixels = _pixels(5, 9, 7, channels)
    pictures = read(np.moveaxis(pixels, -1, 1))
    assert np.array_equal(pictures.images, pixels) and pictures.images.flags.c_contiguous
    assert pictures.changes == "reordered from (N, C, H, W) to (N, H, W, C)"
    first = read(np.moveaxis(pixels, -1, 1) / 255)
    assert np.array_equal(first.images, pixels) and first.changes.startswith("float64 from 0 to 1 rounded to 256")


def test_what_can_be_channels_last_is(read):
    pixels = _pixels(5, 3, 7, 3)
    assert np.array_equal(read(pixels).images, pixels) and read(pixels).changes == ""


@given(st.lists(st.integers(1, 6), min_size=3, max_size=4).map(tuple), st.integers(0, 3))
def test_every_shape_is_read_or_refused(tmp_path_factory, shape, seed):
    path = tmp_path_factory.mktemp("shape") / "a.npz"
    np.savez(path, x=np.full(shape, 200, np.uint8))
    allowed = len(shape) == 3 or shape[3] in (1, 3) or shape[1] in (1, 3)
    try:
        images = read_pictures(Archive(path).stored("x"), "x").images
    except InputError:
        assert not allowed
    else:
        assert allowed and images.ndim == 4 and images.shape[3] in (1, 3) and images.size == np.prod(shape)


_UNIT = np.linspace(0, 1, 60).reshape(3, 4, 5)


@pytest.mark.parametrize(
    "array, refusal",
    [
        (
            np.zeros((40, 63), np.uint8),
            ("x", "shape (40, 63)", "give flat pictures their shape with x.reshape(-1, H, W, C)"),
        ),
        (np.zeros((4, 9, 7, 4), np.uint8), ("x", "shape (4, 9, 7, 4)", "leave out the alpha channel with x[..., :3]")),
        (
            np.zeros((9, 7, 3, 40), np.uint8),
            ("x", "shape (9, 7, 3, 40)", "bring the axis of the examples to the front with np.moveaxis(x, -1, 0"),
        ),
        (
            np.zeros((4, 9, 7, 2), np.uint8),
            ("x", "shape (4, 9, 7, 2)"),
        ),
        (np.zeros((4, 0, 7), np.uint8), ("x", "shape (4, 0, 7)")),
        (np.uint8(3), ("x", "shape ()")),
        (np.ones((4, 9, 7), bool), ("x", "dtype bool", "x.astype(np.uint8) * 255 makes True white")),
        (_UNIT * 2 - 1, ("x", "pixels from -1.0 to 1.0", "(x + 1) / 2")),
        (_UNIT * 4 - 2, ("x", "pixels from -2.0 to 2.0", "x * std + mean")),
        (_UNIT - 0.1, ("x", ANY, "must not be negative")),
        (_UNIT * 400 - 100, ("x", ANY, "must not be negative")),
        ((_UNIT * 200).astype(int) - 1, ("x", ANY, "must not be negative")),
        (
            _UNIT * 65535,
            ("x", "pixels from 0.0 to 65535.0", "must be at most 255: convert pixels of 16 bits with x / 65535"),
        ),
        ((_UNIT * 65535).astype(np.uint16), ("x", ANY, "must be at most 255")),
        (_UNIT * 16, ("x", "pixels from 0.0 to 16.0", "such as x / 16")),
        ((_UNIT * 16).astype(int), ("x", "pixels from 0 to 16")),
        (_UNIT * 1.1, ("x", "pixels from 0.0 to 1.1")),
        (_UNIT.round().astype(int), ("x", "pixels from 0 to 1", "such as x.astype(np.float32)")),
        (_UNIT.round().astype(np.uint8), ("x", "pixels from 0 to 1", "such as x.astype(np.float32)")),
        (np.where(_UNIT == 0, np.nan, _UNIT), ("x", "NaN or infinity", "np.nan_to_num")),
        (np.where(_UNIT == 0, -np.inf, _UNIT), ("x", "NaN or infinity")),
        (np.where(_UNIT == 1, np.inf, _UNIT).astype(np.float16), ("x", "NaN or infinity")),
        (np.full((4, 9, 7), 60000, np.float16), ("x", ANY, "must be at most 255")),
    ],
)
def test_what_is_ambiguous_is_refused_and_says_how_to_convert(read, array, refusal):
    with refuses(*refusal):
        read(array)


def test_other_pictures_have_the_same_range(read):
    unit, levels = read(_UNIT), read(_UNIT * 255)
    dark = read(_UNIT * 0.001, like=unit)
    assert dark.images.max() == 0 and dark.scale == 255
    assert read(_UNIT * 20, like=levels).images.max() == 20  # alone they would be ambiguous
    for like, array, allowed in ((levels, _UNIT, "0 to 255"), (unit, _UNIT * 255, "0 to 1"), (unit, -_UNIT, "0 to 1")):
        with refuses("x", advice=f"must have pixels from {allowed}"):
            read(array, like=like)
    whole = read((_UNIT * 255).round().astype(np.uint8))
    assert read(_UNIT, like=whole).scale == 255  # another dtype has a range of its own
    with refuses("x", "shape (3, 3, 5, 1)"):
        read(_UNIT[:, :3], like=unit)
