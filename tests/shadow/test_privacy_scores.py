"""The privacy score against NumPy on each side."""

import numpy as np

from mia_tf.shadow.privacy_scores import privacy_score


def test_the_distance_of_the_means_over_the_sum_of_the_spreads():
    rng = np.random.default_rng(0)
    phi, keep = rng.normal(size=(20, 11)) + 300, rng.random((20, 11)) < 0.5
    keep[0], keep[1] = np.arange(11) < 1, np.arange(11) < 10
    expected = [
        abs(row[k].mean() - row[~k].mean()) / (row[k].std() + row[~k].std()) for row, k in zip(phi, keep, strict=True)
    ]
    scores = privacy_score(phi, keep)
    assert np.isnan(scores[:2]).all()  # a spread of one model says nothing
    np.testing.assert_allclose(scores[2:], expected[2:], rtol=1e-10)


def test_models_that_all_say_the_same_have_no_score():
    assert np.isnan(privacy_score(np.ones((1, 6)), np.arange(6)[None] < 3)).all()


def test_it_grows_with_the_distance_whichever_side_is_higher():
    keep = np.arange(8)[None] < 4
    noise = np.random.default_rng(0).normal(size=(1, 8))
    noise -= np.where(keep, noise[keep].mean(), noise[~keep].mean())
    near, far, below = (privacy_score(noise + shift * keep, keep)[0] for shift in (1.0, 3.0, -3.0))
    assert 0 < near < far
    np.testing.assert_allclose(below, far, rtol=1e-12)
