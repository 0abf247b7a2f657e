"""The bound from one run: never above the truth more often than stated, and close to it where much is known."""

import numpy as np
import pytest
from refusals import refuses
from scipy.stats import binom

from mia_tf.analysis import one_run
from mia_tf.analysis.one_run import epsilon_one_run, p_value


def randomized_response(rng, examples, epsilon):
    """Each answer is the coin with probability e^epsilon / (1 + e^epsilon): exactly epsilon-DP."""
    included = rng.random(examples) < 0.5
    told = np.where(rng.random(examples) < 1 / (1 + np.exp(-epsilon)), included, ~included)
    return told.astype(float), included


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_the_bound_exceeds_the_truth_in_at_most_one_run_of_twenty(epsilon):
    rng = np.random.default_rng(int(epsilon))
    bounds = [
        epsilon_one_run(*randomized_response(rng, 300, epsilon), 0.0, seed=run).epsilon_lower for run in range(300)
    ]
    above = sum(bound > epsilon for bound in bounds)
    # Of 300 runs 15 may; 25 or more has a probability of 1% if each has one of 5%.
    assert above < 25
    if epsilon:
        assert np.mean(bounds) > 0.6 * epsilon


def test_thresholds_are_not_chosen_on_what_they_are_tested_on():
    """The best of 400 pairs of thresholds, tested on the very examples, would refuse the truth far too often."""
    rng = np.random.default_rng(0)
    held_out = same = 0
    for run in range(150):
        scores, included = rng.normal(size=120), rng.random(120) < 0.5
        held_out += epsilon_one_run(scores, included, 0.0, seed=run).epsilon_lower > 0
        low, high = one_run._thresholds(scores, included, 0.95)
        guessed_in, guessed_out = scores >= high, scores <= low
        right = int((guessed_in & included).sum() + (guessed_out & ~included).sum())
        same += one_run._largest_epsilon(right, int(guessed_in.sum() + guessed_out.sum()), 120, 0.0, 0.95) > 0
    assert held_out <= 14  # 7.5 expected at most; 15 or more has a probability below 1%
    assert same > 30


def test_the_p_value_is_that_of_the_formula():
    right, guesses, examples, epsilon, delta = 37, 50, 400, 0.5, 1e-4
    q = np.exp(epsilon) / (1 + np.exp(epsilon))
    beta = sum(binom.pmf(k, guesses, q) for k in range(right, guesses + 1))
    alpha = max(sum(binom.pmf(k, guesses, q) for k in range(right - i, right)) / i for i in range(1, right + 1))
    assert p_value(right, guesses, examples, epsilon, delta) == pytest.approx(beta + 2 * examples * delta * alpha)
    assert p_value(right, guesses, examples, epsilon, 0.0) == pytest.approx(beta)
    assert p_value(0, 0, 10, 1.0, 1e-5) == 1


def test_delta_only_lowers_the_bound_and_perfect_guesses_are_worth_what_their_number_allows():
    included = np.arange(200) % 2 == 0
    bound = epsilon_one_run(included.astype(float), included, 0.0)
    # 100 of 100 guesses right: q^100 = 0.05.
    q = 0.05 ** (1 / (bound.num_members + bound.num_nonmembers))
    assert bound.epsilon_lower == pytest.approx(np.log(q / (1 - q)), abs=1e-6)
    assert (bound.tpr, bound.fpr) == (1.0, 0.0)
    assert epsilon_one_run(included.astype(float), included, 1e-3).epsilon_lower < bound.epsilon_lower


def test_examples_without_scores_are_left_out_and_bad_input_is_said():
    included = np.arange(200) % 2 == 0
    scores = np.where(np.arange(200) < 100, included, np.nan)
    assert epsilon_one_run(scores, included, 0.0).num_members <= 50
    assert np.isnan(epsilon_one_run(np.full(4, np.nan), included[:4], 0.0).epsilon_lower)
    with refuses("included", "shape (199,)"):
        epsilon_one_run(scores, included[:-1], 0.0)
    with refuses("delta", 1.0):
        epsilon_one_run(scores, included, 1.0)
