"""Means of memorization over groups, and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_tf.analysis import group_memorization
from mia_tf.analysis.group_memorization import mean_memorization, spread
from mia_tf.shadow.memorization import memorization


def draw(rng, count=60, num_models=16, model_effect=0.0, example_effect=1.0):
    """correct, keep (n, M) and the mean memorization that models and examples of this kind have."""
    keep = rng.random((num_models, count)).argsort(axis=0).T < int(0.7 * num_models)
    easy = example_effect * rng.normal(size=(count, 1))
    level = easy + model_effect * rng.normal(size=(1, num_models))
    correct = rng.random(keep.shape) < 1 / (1 + np.exp(-(level + 1.5 * keep)))
    # The truth by a fine average over both normal effects.
    total = np.hypot(model_effect, example_effect)
    points = total * np.random.default_rng(0).normal(size=200_000)
    truth = np.mean(1 / (1 + np.exp(-points - 1.5)) - 1 / (1 + np.exp(-points)))
    return correct, keep, truth


def of_all(correct, keep, seed):
    """The mean of all examples."""
    return mean_memorization(correct, keep, {"all": np.ones(len(keep), bool)}, seed)["all"]


def test_groups_are_measured_together_as_each_alone_is():
    correct, keep, _ = draw(np.random.default_rng(3))
    first = np.arange(len(keep)) < 30
    means = mean_memorization(correct, keep, {"first": first, "rest": ~first, "all": first | True}, 1)
    np.testing.assert_allclose(means["all"].replicates, of_all(correct, keep, 1).replicates)
    np.testing.assert_allclose(means["first"].replicates, of_all(correct[first], keep[first], 1).replicates)
    rest = of_all(correct[~first], keep[~first], 1)  # its examples are drawn by other numbers
    assert means["rest"].value == pytest.approx(rest.value)
    assert means["rest"].interval() == pytest.approx(rest.interval(), abs=0.03)


@given(st.integers(0, 2**31))
def test_the_mean_is_that_of_the_examples_estimates(seed):
    rng = np.random.default_rng(seed)
    keep, correct = rng.random((2, 20, 5)) < 0.5  # examples of all or no models are among them
    estimates, _ = memorization(correct, keep)
    mean = of_all(correct, keep, seed=0)
    assert np.isfinite(estimates).any()
    assert mean.value == pytest.approx(np.nanmean(estimates), abs=1e-6)  # rates are kept in float32
    assert not np.isnan(mean.replicates).all()


def test_a_group_that_no_model_leaves_out_is_not_resolved():
    mean = of_all(np.ones((3, 4), bool), np.ones((3, 4), bool), seed=0)
    assert np.isnan(mean.value) and np.isnan(mean.interval()).all()


@pytest.mark.parametrize("effects", [(0.0, 0.0), (0.0, 2.0), (1.0, 1.0)])
def test_intervals_hold_the_truth_and_are_not_much_too_wide(effects):
    rng = np.random.default_rng(1)
    covered, widths, values = [], [], []
    for _ in range(150):
        correct, keep, truth = draw(rng, 40, 16, *effects)
        estimate = of_all(correct, keep, seed=3)
        low, high = estimate.interval()
        covered.append(low <= truth <= high)
        widths.append(high - low)
        values.append(estimate.value)
    # Three standard errors of a share of 0.95 in 150 trials are 0.053.
    assert np.mean(covered) > 0.89
    # At most sqrt(3) too wide, where noise is all there is (Owen 2007); 15% for the few trials and models.
    assert np.mean(widths) < 2 * 1.96 * np.std(values) * np.sqrt(3) * 1.15


def test_equal_seeds_draw_equally_whatever_the_values_and_the_pieces(monkeypatch):
    correct, keep, _ = draw(np.random.default_rng(2))
    estimate = of_all(correct, keep, seed=5)
    assert estimate.minus(of_all(correct, keep, seed=5)) == (0, 0, 0)
    assert of_all(correct, keep, seed=6).interval() != estimate.interval()
    monkeypatch.setattr(group_memorization, "_ROWS", 7)
    np.testing.assert_allclose(of_all(correct, keep, seed=5).replicates, estimate.replicates, atol=1e-6)


def test_a_difference_of_runs_is_known_better_than_each():
    # Two runs of equal models, but that the second gives members of ten examples another answer.
    correct, keep, _ = draw(np.random.default_rng(4), example_effect=2.0)
    changed = correct.copy()
    changed[:10] &= ~keep[:10]
    first, second = (of_all(each, keep, seed=0) for each in (correct, changed))
    value, low, high = first.minus(second)
    assert value == pytest.approx(first.value - second.value) and low < value < high
    apart = np.subtract(*first.interval()), np.subtract(*second.interval())
    assert high - low < 0.8 * np.hypot(*apart)


def test_the_spread_of_estimates_and_of_their_noise():
    values = np.array([0.0, 0.5, 1.0, np.nan])
    spreads = spread(values, np.array([0.1, 0.3, 0.1, np.nan]))
    assert (spreads["n"], spreads["median"], spreads["q05"], spreads["q95"]) == pytest.approx((3, 0.5, 0.05, 0.95))
    assert spreads["std"] == pytest.approx(np.std([0, 0.5, 1]))
    assert spreads["standard_error"] == pytest.approx(np.sqrt((0.01 + 0.09 + 0.01) / 3))
    assert spreads["share_above_0"] == pytest.approx(1 / 3)  # 0.5 is within two errors of zero
    empty = spread(values[3:], values[3:])
    assert empty["n"] == 0 and np.isnan(empty["std"])
