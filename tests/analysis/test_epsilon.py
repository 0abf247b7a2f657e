"""Bounds on epsilon hold against mechanisms whose epsilon is known, and are not idle."""

import numpy as np
import pytest
from gaussian_mechanism import gaussian_epsilon
from scipy.stats import binom

from mia_tf.analysis.epsilon import draw_pairs, epsilon_bounds, lower_bound

ALLOWED = int(binom.isf(1e-4, 400, 0.05))
"""Of 400 bounds with 95% confidence, more than this number exceed the truth once in 10,000 times at most."""


def bounds(draw, delta, rng, runs=400):
    """Lower bounds of `runs` runs; draw(n) gives scores of n members and of n non-members."""
    return np.array([lower_bound(draw(2000), draw(1000), delta).epsilon_lower for _ in range(runs)])


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_randomised_response(epsilon):
    """It answers truly with e^epsilon / (1 + e^epsilon), and both inequalities hold with equality."""
    rng = np.random.default_rng(int(10 * epsilon))
    truly = np.exp(epsilon) / (1 + np.exp(epsilon))
    lower = bounds(lambda n: ((rng.random(n) < truly) * 1.0, (rng.random(n) >= truly) * 1.0), 0.0, rng)
    assert np.count_nonzero(lower > epsilon) <= ALLOWED
    assert np.median(lower) > 0.7 * epsilon


@pytest.mark.parametrize("distance, delta", [(0.5, 1e-5), (1.0, 1e-5), (1.0, 0.1), (2.0, 0.01)])
def test_the_gaussian_mechanism(distance, delta):
    rng = np.random.default_rng(int(100 * distance))
    truth = gaussian_epsilon(1 / distance, delta)
    lower = bounds(lambda n: (rng.normal(size=n) + distance, rng.normal(size=n)), delta, rng)
    assert np.count_nonzero(lower > truth) <= ALLOWED
    assert np.median(lower) > 0.2 * truth


@pytest.mark.parametrize("between_targets, between_examples", [(0, 0), (1, 0), (0, 2)])
def test_whole_analyses_of_a_mechanism_whose_answers_agree_on_a_target_or_on_an_example(
    between_targets, between_examples
):
    """One answer is normal with variance 1 + between_targets^2, its mean 1 higher for a member."""
    rng = np.random.default_rng(11)
    runs, exceeded, epsilons = 100, 0, []
    truth = gaussian_epsilon(np.sqrt(1 + between_targets**2), 0.1)
    for run in range(runs):
        keep = rng.random((1000, 16)).argsort(axis=1) < 8
        scores = rng.normal(size=keep.shape) + keep + between_targets * rng.normal(size=16)
        scores = np.float32(scores + between_examples * rng.normal(size=(1000, 1)))
        bound = epsilon_bounds(scores, keep, {"all": np.ones(1000, bool)}, 0.1, run)["all"]
        epsilons.append(bound.epsilon_lower)
        exceeded += bound.epsilon_lower > truth
    assert exceeded <= binom.isf(1e-4, runs, 0.05)
    if not between_examples:  # one threshold for examples that differ much shows little
        assert np.median(epsilons) > 0.2 * truth


@pytest.mark.parametrize("ties", [False, True])
def test_noise_bounds_nothing(ties):
    rng = np.random.default_rng(7)

    def draw(n):
        scores = rng.normal(size=(2, n))
        return tuple(scores.round() if ties else scores)

    lower = bounds(draw, 1e-5, rng)
    assert (lower >= 0).all()
    assert np.count_nonzero(lower > 0) <= ALLOWED


def test_a_threshold_chosen_on_the_pairs_it_is_tested_on_would_claim_too_much():
    """Why the halves are apart: on noise the bound would then exceed 0 in 13% of the runs, not in 5% at most."""
    rng = np.random.default_rng(8)
    claimed = 0
    for _ in range(300):
        scores = rng.normal(size=10_000), rng.normal(size=10_000)
        claimed += lower_bound(scores, scores, 0.0).epsilon_lower > 0
    assert claimed > binom.isf(1e-3, 300, 0.05)


def test_the_bound_in_closed_form():
    """All of 50 members found and none of 50 others: (0.025^(1/50)) / (1 - 0.025^(1/50))."""
    sides = np.ones(50), np.zeros(50)
    bound = lower_bound(sides, sides, 0.0)
    least = 0.025 ** (1 / 50)
    assert bound.epsilon_lower == pytest.approx(np.log(least / (1 - least)), rel=1e-12)
    assert (bound.threshold, bound.tpr, bound.fpr) == (1, 1, 0)
    assert (bound.num_members, bound.num_nonmembers) == (50, 50)
    assert lower_bound(sides, sides, 0.1).epsilon_lower == pytest.approx(np.log((least - 0.1) / (1 - least)), rel=1e-12)


def test_nonmembers_that_are_surely_told_bound_epsilon_too():
    """Half of the non-members have scores that no member has: the second inequality, at a low threshold."""
    rng = np.random.default_rng(9)
    members, others = rng.normal(size=1000), np.where(rng.random(1000) < 0.5, -9, rng.normal(size=1000))
    assert lower_bound((members, others), (members, others), 1e-5).epsilon_lower > 4


def test_pairs_are_drawn_with_a_fair_coin_and_then_evenly_from_the_side():
    rng = np.random.default_rng(10)
    member = np.array([[True] * 6 + [False] * 2, [False] * 8, [True] * 8])
    scores = np.tile(np.arange(8.0), (3, 1))
    scores[0, 0] = np.nan
    drawn, coins = draw_pairs(scores, member, 20_000, rng)
    assert np.isnan(drawn[1:]).all()  # they have one side only
    assert set(drawn[0, coins[0]]) == {1, 2, 3, 4, 5} and set(drawn[0, ~coins[0]]) == {6, 7}
    # Five standard errors of a share of 20,000, and of 10,000, at most 0.5 / sqrt(n) each.
    assert abs(coins[0].mean() - 0.5) < 0.018
    assert abs((drawn[0, ~coins[0]] == 6).mean() - 0.5) < 0.026
    assert max(abs((drawn[0, coins[0]] == k).mean() - 0.2) for k in range(1, 6)) < 0.026


def scored(num_examples, num_targets, gain, seed=0):
    rng = np.random.default_rng(seed)
    keep = rng.random((num_examples, num_targets)).argsort(axis=1) < num_targets * 0.7
    scores = np.float32(rng.normal(size=keep.shape) + 3 * rng.normal(size=(num_examples, 1)) + gain * keep)
    return scores, keep


def test_one_pair_an_example_is_tested_of_half_of_the_targets():
    scores, keep = scored(500, 16, 20.0)
    populations = {"all": np.ones(500, bool), "under": np.arange(500) >= 400}
    bounded = epsilon_bounds(scores, keep, populations, 1e-5, 0)
    # An example with no member or no non-member among the eight tested targets has no pair.
    assert 350 < bounded["all"].num_members + bounded["all"].num_nonmembers <= 500
    assert bounded["under"].num_members + bounded["under"].num_nonmembers <= 100
    assert bounded["all"].epsilon_lower > bounded["under"].epsilon_lower > 1
    assert bounded == epsilon_bounds(scores, keep, populations, 1e-5, 0)
    assert bounded != epsilon_bounds(scores, keep, populations, 1e-5, 1)


def test_on_noise_the_tested_targets_do_not_know_which_threshold_was_chosen():
    """A threshold chosen on the tested targets would suit their noise: the mean of z would be above 0.5, not 0."""
    rng = np.random.default_rng(13)
    runs, claimed, z = 150, 0, []
    for run in range(runs):
        keep = rng.random((500, 4)).argsort(axis=1) < 2
        scores = np.float32(rng.normal(size=keep.shape))
        bound = epsilon_bounds(scores, keep, {"all": np.ones(500, bool)}, 0.0, run)["all"]
        claimed += bound.epsilon_lower > 0
        sizes = bound.num_members, bound.num_nonmembers
        share = np.average((bound.tpr, bound.fpr), weights=sizes)
        error = np.sqrt(share * (1 - share) * (1 / sizes[0] + 1 / sizes[1]))
        z.append((bound.tpr - bound.fpr) / error if error else 0.0)
    assert claimed <= 0.05 * runs
    assert abs(np.mean(z)) < 4 / np.sqrt(runs)  # the standard deviation of z is 1


def test_a_target_decides_the_threshold_or_is_tested_but_not_both():
    scores, keep = scored(300, 8, 2.0)
    everyone = {"all": np.ones(300, bool)}
    before = epsilon_bounds(scores, keep, everyone, 0.0, 0)["all"]
    deciding, tested = set(), set()
    for target in range(8):
        changed = scores.copy()
        changed[:, target] = -changed[:, target]
        after = epsilon_bounds(changed, keep, everyone, 0.0, 0)["all"]
        if after.threshold != before.threshold:
            deciding.add(target)
        elif (after.tpr, after.fpr) != (before.tpr, before.fpr):
            tested.add(target)
    assert (len(deciding), len(tested)) == (4, 4)


def test_one_target_cannot_be_bounded_and_is_no_error():
    scores, keep = scored(50, 1, 1.0)
    bound = epsilon_bounds(scores, keep, {"all": np.ones(50, bool)}, 1e-5, 0)["all"]
    assert np.isnan(bound.epsilon_lower)
    assert bound.note == "members or non-members are missing"
