"""Memorization and its standard error against counting."""

import numpy as np
import pytest

from mia_tf.shadow.memorization import memorization


def test_the_difference_of_two_proportions():
    keep = np.array([[True, True, True, True, False, False, False, False]])
    correct = np.array([[True, True, True, False, True, False, False, False]])
    estimate, error = memorization(correct, keep)
    assert estimate[0] == 0.75 - 0.25
    # Agresti and Caffo: proportions 4/6 and 2/6, each of 6.
    assert error[0] == pytest.approx(np.sqrt(2 * (2 / 3) * (1 / 3) / 6))


def test_an_example_that_all_models_of_a_side_agree_on_is_still_uncertain():
    keep = np.arange(8)[None] < 4
    estimate, error = memorization(keep, keep)
    assert estimate[0] == 1
    assert error[0] == pytest.approx(np.sqrt(2 * (5 / 6) * (1 / 6) / 6))


def test_an_example_with_one_side_has_none():
    keep = np.array([[True] * 4, [False] * 4, [True, True, False, False]])
    estimates = memorization(np.ones((3, 4), bool), keep)
    for values in estimates:
        assert np.isnan(values).tolist() == [True, True, False]


def test_the_standard_error_is_that_of_repeated_draws():
    rng = np.random.default_rng(0)
    keep = np.broadcast_to(np.arange(60) < 40, (20_000, 60))
    correct = rng.random((20_000, 60)) < np.where(keep, 0.9, 0.4)
    estimate, error = memorization(correct, keep)
    # The estimate is unbiased: 0.5 within three standard errors of the mean of the draws. The error's
    # added successes shift it by some percent at these counts.
    assert estimate.mean() == pytest.approx(0.5, abs=3 * estimate.std() / np.sqrt(len(estimate)))
    assert error.mean() == pytest.approx(estimate.std(), rel=0.05)


def test_equal_memorization_is_equal_to_the_last_digit():
    """4/6 - 3/6 and 3/6 - 2/6 differ in their last digit when each proportion is rounded, which breaks ties."""
    keep = np.arange(12)[None].repeat(2, axis=0) < 6
    correct = np.zeros((2, 12), bool)
    for row, inside, outside in ((0, 4, 3), (1, 3, 2)):
        correct[row, :inside] = correct[row, 6 : 6 + outside] = True
    assert 4 / 6 - 3 / 6 != 3 / 6 - 2 / 6
    estimate = memorization(correct, keep)[0]
    assert estimate[0] == estimate[1] == 1 / 6
