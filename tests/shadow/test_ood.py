"""Out-of-distribution scores against their definitions, and their signs."""

import numpy as np

from mia_tf.shadow import ood


def test_values_of_their_definitions():
    logits = np.random.default_rng(0).normal(size=(6, 4, 10)) * 3
    softmax = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(ood.max_softmax(logits), 1 - softmax.max(axis=-1), rtol=1e-9)
    np.testing.assert_allclose(ood.energy(logits), -np.log(np.exp(logits).sum(axis=-1)), rtol=1e-12)


def test_a_model_that_is_sure_gives_lower_scores():
    sure, unsure = np.array([50.0, 0.0, 0.0]), np.zeros(3)
    assert ood.max_softmax(sure) < ood.max_softmax(unsure) == np.float64(2 / 3)
    assert ood.energy(sure) < ood.energy(unsure)


def test_digits_are_kept_where_the_model_is_sure():
    np.testing.assert_allclose(ood.max_softmax(np.array([90.0, 0.0])), np.exp(-90), rtol=1e-12)
    assert np.isfinite(ood.energy(np.array([1e5, -1e5])))


def test_only_the_models_that_are_used_count():
    scores = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    keep = np.array([[True, False, False], [False, False, False], [True, True, True]])
    np.testing.assert_array_equal(ood.mean_over(scores, ~keep), [3.0, 7 / 3, np.nan])
