"""x_train.npy of LOGDIRs that people hand over, as figures show it."""

import numpy as np
import pytest
from refusals import refuses

from mia_tf.data import logdir_pictures
from mia_tf.data.logdir_pictures import read_logdir_pictures
from mia_tf.store import Store

FORMS = {
    "uint8": lambda x: x,
    "LiRA's floats from -1 to 1": lambda x: x / 127.5 - 1,
    "LiRA's in single precision": lambda x: (x / 127.5 - 1).astype(np.float32),
    "floats from 0 to 255": lambda x: x.astype(np.float32),
    "floats from 0 to 1": lambda x: (x / 255).astype(np.float32),
    "integers": lambda x: x.astype(np.int64),
}


@pytest.fixture
def logdir(tmp_path):
    np.save(tmp_path / "y_train.npy", np.arange(40) % 4)
    return tmp_path


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)], ids=["channels last", "channels first"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_pictures_are_neither_inverted_nor_torn(logdir, form, channels, axes, monkeypatch):
    """Floats from 0 to 255 once wrapped around, and channels first were drawn as 3 rows of pixels."""
    monkeypatch.setattr(logdir_pictures, "_BLOCK_BYTES", 3000)  # several blocks
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, channels), np.uint8)
    np.save(logdir / "x_train.npy", FORMS[form](images).transpose(axes))
    pictures = read_logdir_pictures(Store.open(logdir))
    assert pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures, images)


def test_grey_pictures_may_lack_the_axis_of_channels(logdir):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.save(logdir / "x_train.npy", images)
    np.testing.assert_array_equal(read_logdir_pictures(Store.open(logdir)), images[..., None])


def test_standardised_pixels_are_refused_with_what_to_do(logdir):
    np.save(logdir / "x_train.npy", np.random.default_rng(0).normal(size=(40, 8, 8, 3)))
    with refuses("logdir", "pixels from -3.899421730054339 to 3.257199074716764", "x * std + mean"):
        read_logdir_pictures(Store.open(logdir))
    np.save(logdir / "x_train.npy", np.full((40, 8, 8, 3), np.nan))
    with refuses("logdir", "NaN or infinity", "x_train.npy"):
        read_logdir_pictures(Store.open(logdir))
    with refuses("logdir", advice="x_train.npy must be uint8, or floats x / 127.5 - 1"):
        Store.open(logdir).dataset()


def test_examples_that_are_no_pictures_have_none(logdir):
    assert read_logdir_pictures(Store.open(logdir)) is None
    np.save(logdir / "x_train.npy", np.random.default_rng(0).normal(size=(40, 12)))
    assert read_logdir_pictures(Store.open(logdir)) is None
