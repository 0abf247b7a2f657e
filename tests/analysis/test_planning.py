"""What a run can see and how many models it takes, against simulations and the intervals themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mia_tf.analysis import planning
from mia_tf.analysis.evaluation import Population, evaluate
from mia_tf.shadow.memorization import memorization


def intervals(rng, rate, fpr, members, nonmembers, runs):
    """Rates (runs,) that independent pairs give, near guessing (TPR proportional to FPR), and the lower ends."""
    reached = rng.beta(round(fpr * nonmembers) + 1, nonmembers - round(fpr * nonmembers), runs)
    rates = rng.binomial(members, np.minimum(rate / fpr * reached, 1)) / members
    errors = [planning._log_error(max(value, 1 / members), fpr, members, nonmembers) for value in rates]
    return rates, rates * np.exp(-1.96 * np.array(errors))


@pytest.mark.parametrize(("fpr", "pairs"), [(0.1, 1000), (0.01, 4000), (0.001, 40_000)])
def test_half_of_the_runs_see_a_leak_of_the_smallest_visible_rate(fpr, pairs):
    smallest = planning.smallest_visible_rate(fpr, fpr, fpr, fpr, pairs, pairs)
    rng = np.random.default_rng(0)
    for rate, low, high in ((smallest, 0.4, 0.6), (fpr, 0, 0.05), (fpr + 2 * (smallest - fpr), 0.85, 1)):
        _, ends = intervals(rng, rate, fpr, pairs, pairs, 2000)
        assert low <= np.mean(ends > fpr) <= high, rate


def test_the_rule_has_the_width_of_the_intervals_of_independent_pairs():
    rng = np.random.default_rng(1)
    keep = rng.random((1500, 8)).argsort(axis=1) < 4
    scores = rng.normal(size=keep.shape).astype(np.float32)
    evaluation = evaluate(scores, Population(np.ones(1500, bool), keep, keep.sum(axis=1), 8), 0, (0.1, 0.01))
    for fpr in (0.1, 0.01):
        value, low, high = evaluation.metrics[f"tpr_at_fpr_{fpr:g}"]
        expected = 2 * 1.96 * value * planning._log_error(value, fpr, evaluation.num_members, evaluation.num_nonmembers)
        assert high - low == pytest.approx(expected, rel=0.3)


@settings(max_examples=60)
@given(st.sampled_from([0.1, 0.01, 0.001]), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(20, 10**6))
def test_it_never_contradicts_the_measured_interval(fpr, value, below, above, pairs):
    low, high = value * below, value + above * (1 - value)
    smallest = planning.smallest_visible_rate(fpr, value, low, high, pairs, pairs)
    if low > fpr:
        assert smallest <= value
    else:
        assert smallest is None or smallest >= max(value, fpr) * (1 - 1e-9)


def test_correlated_records_and_few_records_hide_more():
    plain = planning.smallest_visible_rate(0.01, 0.01, 0.007, 0.013, 4000, 4000)
    assert planning.smallest_visible_rate(0.01, 0.01, 0.002, 0.03, 4000, 4000) > plain
    assert planning.smallest_visible_rate(0.01, 0.01, 0.007, 0.013, 400, 400) > plain
    assert planning.smallest_visible_rate(0.1, 0.1, 0, 1, 3, 3) is None


def test_four_times_the_models_halve_the_interval_of_independent_pairs():
    rng = np.random.default_rng(2)

    def measured(num_targets):
        keep = rng.random((1000, num_targets)).argsort(axis=1) < num_targets // 2
        scores = (rng.normal(size=keep.shape) + keep).astype(np.float32)
        evaluation = evaluate(scores, Population(np.ones(1000, bool), keep, keep.sum(axis=1), num_targets), 0, (0.1,))
        widths = [np.diff(np.quantile(moves, [0.025, 0.975]))[0] for moves in evaluation.offsets["tpr_at_fpr_0.1"]]
        return evaluation.metrics["tpr_at_fpr_0.1"], widths

    (_, low, high), widths = measured(8)
    needed = planning.models_to_halve(low, high, widths, 8)
    assert 26 <= needed <= 64
    (_, low_then, high_then), _ = measured(32)
    assert high_then - low_then == pytest.approx((high - low) / 2, rel=0.25)


def test_more_models_do_not_help_where_records_differ_or_few_are_recognised():
    assert planning.models_to_halve(0.05, 0.15, (0.03, 0.1), 16) is None
    assert planning.models_to_halve(0, 0.01, (0.001, 0.001), 16) is None
    assert planning.models_to_halve(0.05, 0.15, (0.1, 0.01), 16) == 64
    assert planning.models_to_halve(0.05, 0.15, (0.095, 0.1), 16) > 58


@pytest.mark.parametrize("num_in", [10, 14, 3])
def test_the_models_for_memorization_make_its_interval_as_wide_as_said(num_in):
    rng = np.random.default_rng(3)
    keep = rng.random((40, 20)).argsort(axis=1) < num_in
    correct = rng.random((40, 20)) < np.where(keep, 0.9, rng.random((40, 1)))
    counts = keep.sum(axis=1), (~keep).sum(axis=1), (correct & keep).sum(axis=1), (correct & ~keep).sum(axis=1)
    needed = planning.models_for_memorization(*counts, 0.1)
    assert (needed > 20).all() and np.ptp(needed) > 100
    for times in (1, 7):  # as many copies of the same models, so that the rates stay
        _, error = memorization(np.tile(correct, times), np.tile(keep, times))
        for row in range(0, 40, 5):
            one = [column[row : row + 1] for column in counts]
            assert planning.models_for_memorization(*one, 1.96 * error[row])[0] == pytest.approx(20 * times, abs=2)
    unknown = planning.models_for_memorization(*map(np.array, ([0], [9], [0], [4])), 0.1)
    assert np.isnan(unknown).all()
