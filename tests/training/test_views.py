import numpy as np
import pytest
from keras import ops

from mia_tf.training import views


def slow_view(image, down, right, mirrored):
    """Mirror, pad by reflection, crop: the plain way."""
    if mirrored:
        image = image[:, ::-1]
    pad = 4
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    height, width = image.shape[:2]
    return padded[pad + down : pad + down + height, pad + right : pad + right + width]


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (5, 6, 2)])
def test_gathered_views_are_mirrored_padded_and_cropped(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    queries = views.query_views(162)
    shifts = np.array([view[:2] for view in queries], np.int32)
    mirrored = np.array([view[2] for view in queries])
    shown = ops.convert_to_numpy(views.gather_views(np.repeat(image[None], 162, axis=0), shifts, mirrored))
    expected = np.stack([slow_view(image, *view) for view in queries])
    np.testing.assert_array_equal(shown, expected)


def test_queries_begin_with_the_image_and_its_mirror_image_and_then_are_lira_s_eighteen():
    assert views.query_views(2) == [(0, 0, False), (0, 0, True)]
    eighteen = {(dy, dx, m) for dy in (-4, 0, 4) for dx in (-4, 0, 4) for m in (False, True)}
    assert set(views.query_views(18)) == eighteen
    assert len(set(views.query_views(162))) == 162
    assert views.query_views(18)[:5] == views.query_views(5)


@pytest.mark.parametrize("augmentation, num_views", [("none", 1), ("mirror", 2), ("weak", 162)])
def test_augmentation_draws_every_view_equally_often(augmentation, num_views):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (12, 12, 1), dtype=np.uint8)  # large enough that no two views coincide
    count = 162 * 40
    draws = rng.uniform(size=(3, count)).astype(np.float32)
    drawn = ops.convert_to_numpy(views.augment(np.repeat(image[None], count, axis=0), augmentation, draws))
    wanted = {slow_view(image, *view).tobytes() for view in views.query_views(num_views)}
    seen, times = np.unique(drawn.reshape(count, -1), axis=0, return_counts=True)
    assert {row.tobytes() for row in seen} == wanted
    # A view's count is binomial; six standard deviations bound all 162 of them.
    mean = count / num_views
    assert np.abs(times - mean).max() <= 6 * np.sqrt(mean)


def test_pixels_become_the_published_input():
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(views.to_input(pixels), pixels / 127.5 - 1, atol=1e-7)
