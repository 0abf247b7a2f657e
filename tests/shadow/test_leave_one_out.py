"""The fits of all targets at once against fitting each afresh, written independently."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mia_tf.shadow.leave_one_out import (
    IN,
    OUT,
    LeaveOneOut,
    drawn_starts,
    means_without_each,
    medians_without_each,
    squares_without_each,
)

samples = hnp.arrays(np.float64, st.integers(2, 9), elements=st.integers(-5, 5).map(float))


def circle(models, start):
    """The models of a side in the circle that begins with the drawn one."""
    first = int(start * len(models))
    return models[first:] + models[:first]


def refit(values, keep, starts, target):
    """Medians, means and sums of squares, (2, n, Q), of what is left without the target and its partner."""
    n, queries, _ = values.shape
    medians, means, squares = np.full((3, 2, n, queries), np.nan)
    for j in range(n):
        members, others = (
            circle(np.flatnonzero(side[j]).tolist(), starts[j, k]) for k, side in enumerate((keep, ~keep))
        )
        own, other = (members, others) if keep[j, target] else (others, members)
        position = own.index(target)
        own.remove(target)
        if other:
            other.pop(position % len(other))
        for side, left in ((IN, members), (OUT, others)):
            for q in range(queries):
                if left:
                    sample = values[j, q, left]
                    medians[side, j, q] = np.median(sample)
                    means[side, j, q] = np.mean(sample)
                    squares[side, j, q] = sum((x - np.mean(sample)) ** 2 for x in sample)
    return medians, means, squares


@pytest.mark.parametrize("plan", ["balanced", "uneven", "bernoulli"])
@pytest.mark.parametrize("num_models", [4, 7, 12])
def test_every_fit_is_that_of_a_refit(plan, num_models):
    rng = np.random.default_rng(num_models)
    values = rng.normal(size=(15, 2, num_models)) * 3
    share = {"balanced": 0.5, "uneven": 0.7, "bernoulli": 0.5}[plan]
    if plan == "bernoulli":
        keep = rng.random((15, num_models)) < share
        keep[0], keep[1] = True, False  # sides without any model
    else:
        keep = rng.random((15, num_models)).argsort(axis=1) < int(share * num_models)
    starts = drawn_starts(3, 15)
    fits = LeaveOneOut(values, keep, starts)
    for target in range(num_models):
        medians, means, squares = refit(values, keep, starts, target)
        np.testing.assert_allclose(fits.medians[..., target], medians, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(fits.means[..., target], means, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(fits.squares[..., target], squares, rtol=1e-10, atol=1e-12)


def test_member_and_nonmember_targets_are_fitted_on_equally_many_models():
    keep = np.random.default_rng(0).random((20, 9)) < 0.4
    fits = LeaveOneOut(np.zeros((20, 1, 9)), keep, drawn_starts(0, 20))
    np.testing.assert_array_equal(fits.counts[IN], np.maximum(keep.sum(axis=1) - 1, 0))
    np.testing.assert_array_equal(fits.counts[OUT], np.maximum((~keep).sum(axis=1) - 1, 0))


def test_nothing_fitted_for_a_target_depends_on_what_it_says():
    rng = np.random.default_rng(1)
    values, keep = rng.normal(size=(30, 2, 8)), rng.random((30, 8)) < 0.5
    starts = drawn_starts(0, 30)
    before = LeaveOneOut(values, keep, starts)
    for target in range(8):
        changed = values.copy()
        changed[:, :, target] = rng.normal(size=(30, 2)) * 100
        after = LeaveOneOut(changed, keep, starts)
        np.testing.assert_array_equal(after.medians[..., target], before.medians[..., target])
        # Equal but for the subtraction's rounding, relative to the square of the value that was taken away.
        np.testing.assert_allclose(after.squares[..., target], before.squares[..., target], rtol=1e-9)


def test_partners_are_drawn_whatever_the_values():
    """Which models a fit leaves out shows in which of them change it; the values must have no say."""
    rng = np.random.default_rng(2)
    keep, starts = rng.random((1, 10)).argsort(axis=1) < 5, drawn_starts(7, 1)

    def left_out(values):
        squares = LeaveOneOut(values, keep, starts).squares
        unchanged = np.empty((2, 10, 10), bool)
        for model in range(10):
            changed = values.copy()
            changed[..., model] += 10
            unchanged[:, :, model] = np.isclose(LeaveOneOut(changed, keep, starts).squares, squares)[:, 0, 0]
        return unchanged

    np.testing.assert_array_equal(left_out(rng.normal(size=(1, 1, 10))), left_out(rng.normal(size=(1, 1, 10))))


@pytest.mark.parametrize("num_models, num_in", [(4, 2), (6, 2), (6, 4)])
def test_which_models_are_left_says_nothing_of_membership(num_models, num_in):
    """Over all memberships and draws, a fit rests on the same models as often if its target is a member as if not."""
    # Each start of each side once: the draws that their sizes tell apart.
    sizes = num_in, num_models - num_in
    starts = np.array([[(a + 0.5) / sizes[0], (b + 0.5) / sizes[1]] for a in range(sizes[0]) for b in range(sizes[1])])
    powers = np.exp2(np.arange(num_models))
    seen = {True: Counter(), False: Counter()}
    for members in itertools.combinations(range(num_models), num_in):
        keep = np.isin(np.arange(num_models), members)[None].repeat(len(starts), axis=0)
        means = LeaveOneOut(np.broadcast_to(powers, (len(starts), 1, num_models)), keep, starts).means[:, :, 0, 0]
        left = np.rint(means * (np.array(sizes)[:, None] - 1)).astype(int)  # a bit for each model of a side
        seen[bool(keep[0, 0])].update(zip(*left.tolist(), strict=True))
    member, other = seen[True], seen[False]
    assert len(member) > 1 and member.keys() == other.keys()
    for left, count in member.items():  # exactly: both are whole numbers of equally likely cases
        assert count * other.total() == other[left] * member.total()


def test_the_draw_of_an_example_does_not_depend_on_the_blocks():
    whole = drawn_starts(0, 9)
    np.testing.assert_array_equal(np.concatenate([drawn_starts(0, 4), drawn_starts(4, 5)]), whole)
    assert (whole >= 0).all() and (whole < 1).all() and len(np.unique(whole)) == whole.size


@given(samples)
def test_medians_with_ties(sample):
    expected = [np.median(np.delete(sample, k)) for k in range(len(sample))]
    np.testing.assert_array_equal(medians_without_each(sample), expected)


@given(samples, st.sampled_from([1.0, 1e3, 1e8]))
@settings(max_examples=200)
def test_squares_of_a_sample_with_an_outlier_keep_their_digits(sample, size):
    sample = sample.copy()
    sample[0] *= size  # the difference of sums of squares would have no digit left at 1e8
    expected = [np.var(np.delete(sample, k)) * (len(sample) - 1) for k in range(len(sample))]
    np.testing.assert_allclose(squares_without_each(sample), expected, rtol=1e-9, atol=1e-12 * np.abs(sample).max())


def test_means_keep_their_digits_whatever_is_left_out():
    sample = np.array([1e-9, 1e12, 3e-9, 5e-9])
    np.testing.assert_allclose(means_without_each(sample)[1], 3e-9, rtol=1e-15)
