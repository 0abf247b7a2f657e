"""Intervals and correlations against SciPy, and their coverage by simulation."""

import itertools

import numpy as np
import pytest
import scipy.stats
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from mia_tf.analysis.statistics import (
    binned_metrics,
    binomial_bounds,
    bootstrap_offsets,
    mean_interval,
    offset_interval,
    redraws,
    spearman,
    widest,
)


@pytest.mark.parametrize("decimals", [8, 0])
def test_spearman_leaves_out_pairs_with_nan(decimals):
    rng = np.random.default_rng(0)
    x = rng.normal(size=40).round(decimals)  # with no decimals many are equal
    y = (x + rng.normal(size=40)).round(decimals)
    x[3], y[7] = np.nan, np.nan
    kept = ~np.isnan(x) & ~np.isnan(y)
    expected = scipy.stats.spearmanr(x[kept], y[kept])
    assert spearman(x, y) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue), 38)


@pytest.mark.parametrize("sign", [1, -1])
def test_spearman_of_the_same_order_is_1(sign):
    x = np.random.default_rng(0).normal(size=9)
    assert spearman(x, sign * np.exp(x)) == (pytest.approx(sign), pytest.approx(0, abs=1e-9), 9)


@pytest.mark.parametrize("x", [np.ones(9), np.array([1.0, np.nan, 2.0]), np.zeros(0)])
def test_spearman_without_variation_or_pairs_is_nan(x):
    rho, p, n = spearman(x, np.arange(float(len(x))))
    assert np.isnan([rho, p]).all()
    assert n == np.count_nonzero(~np.isnan(x))


def test_mean_interval_is_students():
    values = np.random.default_rng(0).normal(size=7)
    low, high = scipy.stats.t.interval(0.95, 6, values.mean(), scipy.stats.sem(values))
    assert mean_interval(values) == pytest.approx((values.mean(), low, high), rel=1e-12)
    assert np.isnan(mean_interval(values[:1])[1:]).all()


@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_binomial_bounds_are_clopper_and_pearsons(confidence):
    for trials in (1, 7, 200):
        for successes in {0, 1, trials // 3, trials - 1, trials}:
            exact = scipy.stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
            bounds = binomial_bounds(successes, trials, confidence)
            # SciPy finds its ends by bisection, to 2e-12.
            assert [float(end) for end in bounds] == pytest.approx([exact.low, exact.high], rel=0, abs=4e-12)


def test_binomial_bounds_at_the_ends_in_closed_form_and_for_arrays():
    low, high = binomial_bounds(np.array([0, 30]), 30)
    np.testing.assert_allclose(low, [0, 0.025 ** (1 / 30)], rtol=1e-12)
    np.testing.assert_allclose(high, [1 - 0.025 ** (1 / 30), 1], rtol=1e-12)
    # A rate taken for that of fewer trials need not make whole successes.
    low, high = binomial_bounds(np.array([2, 2.5, 3]), 10)
    assert (np.diff(low) > 0).all() and (np.diff(high) > 0).all()


def test_binomial_bounds_miss_no_more_often_than_they_say():
    """Exactly, by summing over all outcomes."""
    for rate in (0.001, 0.03, 0.5):
        low, high = binomial_bounds(np.arange(41), 40)
        probability = scipy.stats.binom.pmf(np.arange(41), 40, rate)
        assert probability[low > rate].sum() <= 0.025
        assert probability[high < rate].sum() <= 0.025


def test_bins_of_single_scores_give_the_exact_metrics():
    rng = np.random.default_rng(1)
    member = rng.random(400) < 0.4
    scores = rng.normal(size=400) + member
    sorted_member = member[np.argsort(-scores)].astype(float)
    auroc, advantage, rate = binned_metrics(sorted_member[None], 1 - sorted_member[None], (0.1,))[0]
    assert auroc == pytest.approx(roc_auc_score(member, scores))
    tpr, fpr = (np.cumsum(side) / side.sum() for side in (sorted_member, 1 - sorted_member))
    assert advantage == pytest.approx((tpr - fpr).max())
    assert tpr[fpr <= 0.1].max() <= rate <= tpr[fpr > 0.1].min()


def slow_metrics(members, nonmembers, levels):
    """`binned_metrics` of one ROC, a point at a time."""
    points = [(0.0, 0.0)]
    for b in range(1, len(members) + 1):
        points.append((nonmembers[:b].sum() / nonmembers.sum(), members[:b].sum() / members.sum()))
    steps = list(itertools.pairwise(points))
    rates = []
    for level in levels:
        (left, low), (right, high) = max(step for step in steps if step[0][0] <= level)
        rates.append(low + (high - low) * (level - left) / (right - left) if right > level else high)
    area = sum((after[0] - before[0]) * (after[1] + before[1]) / 2 for before, after in steps)
    return [area, max(tpr - fpr for fpr, tpr in points), *rates]


@pytest.mark.parametrize("weigh", [np.asarray, lambda counts: counts / 3])
def test_replicates_are_the_metrics_of_what_was_drawn(weigh):
    rng = np.random.default_rng(7)
    members, nonmembers = (weigh(rng.integers(0, 3, (12, 9)).astype(float)) for _ in range(2))
    draws, levels = redraws(12, 0, 1), (0.5, 0.1, 0.01)
    offsets = bootstrap_offsets(members, nonmembers, levels, draws)
    whole = np.array(slow_metrics(members.sum(axis=0), nonmembers.sum(axis=0), levels))
    for draw, offset in list(zip(draws, offsets, strict=True))[:50]:
        expected = slow_metrics(draw @ members, draw @ nonmembers, levels)
        # Twelve units: sqrt(12 / 11) for their variance, 2.201 of Student's t with 11 degrees of freedom for 1.960.
        np.testing.assert_allclose(offset / (np.sqrt(12 / 11) * 2.2009852 / 1.9599640) + whole, expected, atol=1e-7)


def test_every_unit_is_drawn_once_on_average():
    draws = redraws(30, 5, 2)
    assert (draws.sum(axis=1) == 30).all()
    # 1,000 draws of a binomial count with variance 29 / 30: five standard errors.
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=5 * (29 / 30 / 1000) ** 0.5)
    assert redraws(30, 5, 2) is draws and not np.array_equal(draws, redraws(30, 5, 3))


def units_of_scores(rng, units, per_unit, distance):
    """Weights of members and non-members by unit and range of scores; members lie `distance` higher."""
    edges = np.linspace(-4, 4 + distance, 60)
    scores = rng.normal(size=(2, units, per_unit)) + np.array([distance, 0])[:, None, None]
    counts = [[np.histogram(-row, np.sort(-edges))[0] for row in side] for side in scores]
    return np.array(counts, float)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    truth = ndtr(1 / np.sqrt(2))
    covered = 0
    for number in range(150):
        members, nonmembers = units_of_scores(rng, 40, 20, 1.0)
        value = binned_metrics(members.sum(axis=0)[None], nonmembers.sum(axis=0)[None], ())[0, 0]
        low, high = offset_interval(bootstrap_offsets(members, nonmembers, (), redraws(40, number, 0)))
        covered += value + low[0] <= truth <= value + high[0]
    # A percentile bootstrap of 40 units covers about 94%; 150 draws of that fall outside this 1 time in 1,000.
    assert 0.86 <= covered / 150 <= 0.99


def test_intervals_widen_when_the_pairs_of_a_unit_agree():
    """Drawing units, not pairs, is what tells that 40 equal pairs are no more than one."""
    rng = np.random.default_rng(3)
    members, nonmembers = units_of_scores(rng, 50, 20, 1.0)
    low, high = offset_interval(bootstrap_offsets(members, nonmembers, (), redraws(50, 0, 0)))
    doubled = np.repeat(members, 2, axis=0).reshape(50, 2, -1).sum(axis=1)
    again = np.repeat(nonmembers, 2, axis=0).reshape(50, 2, -1).sum(axis=1)
    low_doubled, high_doubled = offset_interval(bootstrap_offsets(doubled, again, (), redraws(50, 0, 0)))
    np.testing.assert_allclose([low_doubled, high_doubled], [low, high], atol=1e-12)


def test_equal_seeds_agree_and_others_differ():
    members, nonmembers = units_of_scores(np.random.default_rng(4), 10, 20, 1.0)
    first, same, other = (bootstrap_offsets(members, nonmembers, (0.1,), redraws(10, seed, 0)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert (np.array(first) != np.array(other)).any()


def test_a_single_unit_has_no_interval():
    members, nonmembers = units_of_scores(np.random.default_rng(5), 1, 20, 1.0)
    offsets = bootstrap_offsets(members, nonmembers, (0.1,), redraws(1, 0, 0))
    assert np.isnan(offset_interval(offsets)).all()


def test_the_widest_interval_is_taken_metric_by_metric_and_holds_the_value():
    narrow, wide = (np.random.default_rng(6).normal(0, scale, size=(1000, 2)) for scale in (1, 3))
    mixed = np.stack([np.stack([narrow[:, 0], wide[:, 1]], axis=1), np.stack([wide[:, 0], narrow[:, 1]], axis=1)])
    low, high = widest(mixed)
    np.testing.assert_allclose([low, high], offset_interval(wide))
    single = np.full((1000, 2), np.nan)
    np.testing.assert_allclose(widest(np.stack([single, wide])), offset_interval(wide))
    assert np.isnan(widest(np.stack([single, single]))).all()
    low, high = widest(np.abs(wide)[None] + 1)  # replicates of a maximum over noise all lie above it
    assert (low == 0).all() and (high > 1).all()
