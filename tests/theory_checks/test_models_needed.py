"""The number of shadow models against simulation and limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from experiments.theory_checks import models_needed as shadow
from experiments.theory_checks.divergences import total_variation_normal
from experiments.theory_checks.theory import NormalFits


def _fits(mean_in, sd_in, mean_out=0.0, sd_out=1.0):
    arrays = np.broadcast_arrays(mean_out, sd_out, mean_in, sd_in)
    return NormalFits(*(np.asarray(a, float).reshape(-1) for a in arrays))


def _played_error(fits, models, rule, plays=60_000, seed=0):
    """The game itself: shadow models drawn, normals fitted, one answer judged by their densities."""
    rng = np.random.default_rng(seed)
    shadows = [
        rng.normal(m[0], s[0], (plays, models)) for m, s in ((fits.mean_in, fits.sd_in), (fits.mean_out, fits.sd_out))
    ]
    wrong = 0
    for member, (mean, sd) in enumerate(((fits.mean_out, fits.sd_out), (fits.mean_in, fits.sd_in))):
        x = rng.normal(mean[0], sd[0], plays)
        spread = [a.std(axis=1) if rule == "own" else 1 for a in shadows]
        densities = [norm.logpdf(x, a.mean(axis=1), s) for a, s in zip(shadows, spread, strict=True)]
        wrong += ((densities[0] > densities[1]) != bool(member)).mean() / 2
    return wrong


CASES = [(1.0, 1.0), (2.5, 0.4), (-1.5, 2.0), (0.0, 3.0), (0.0, 1.0)]
# Standard error of a played error: at most sqrt(1/4 / 120,000) = 0.0015; five of them.
PLAYED = 0.0075


@pytest.mark.parametrize(("mean", "sd"), CASES)
@pytest.mark.parametrize("models", [1, 2, 10])
def test_fixed_error_is_that_of_the_game(mean, sd, models):
    fits = _fits(mean, sd)
    assert shadow.fixed_error(fits, models)[0] == pytest.approx(_played_error(fits, models, "fixed"), abs=PLAYED)


@pytest.mark.parametrize(("mean", "sd"), CASES)
@pytest.mark.parametrize("models", [2, 3, 10])
def test_own_error_is_that_of_the_game(mean, sd, models):
    fits = _fits(mean, sd)
    # 256 scrambled Sobol points add about 0.003 at two models.
    tolerance = PLAYED + 0.005
    assert shadow.own_error(fits, models, 0)[0] == pytest.approx(_played_error(fits, models, "own"), abs=tolerance)


@given(st.floats(-6, 6), st.floats(0.1, 8), st.sampled_from(shadow.LADDER))
def test_no_decision_beats_the_limit(mean, sd, models):
    fits = _fits(mean, sd)
    floor = shadow.limit_error(fits)[0]
    assert floor == pytest.approx((1 - total_variation_normal(0, 1, mean, sd)) / 2)
    for rule in shadow.RULES:
        error = shadow.expected_error(fits, models, rule)[0]
        assert floor - 1e-9 <= error <= 1


@pytest.mark.parametrize(("mean", "sd"), [(1.0, 1.0), (2.5, 0.4), (-1.5, 2.0)])
def test_own_error_reaches_the_limit(mean, sd):
    fits = _fits(mean, sd)
    assert shadow.own_error(fits, 100_000, 0) == pytest.approx(shadow.limit_error(fits), abs=1e-3)


def test_fixed_error_of_many_models_is_that_of_the_midpoint():
    error = shadow.fixed_error(_fits(2.0, 1.0), 10**8)[0]
    assert error == pytest.approx(norm.cdf(-1), abs=1e-6)


@settings(max_examples=20)
@given(st.floats(-5, 5), st.floats(0.2, 5), st.floats(-3, 3), st.floats(0.5, 2))
def test_errors_do_not_change_with_the_unit_of_phi(mean, sd, shift, scale):
    fits, moved = _fits(mean, sd), _fits(scale * mean + shift, scale * sd, shift, scale)
    for rule in shadow.RULES:
        for models in (2, 16):
            error = shadow.expected_error(moved, models, rule)
            assert error == pytest.approx(shadow.expected_error(fits, models, rule), abs=1e-7)


def test_models_needed_by_hand():
    # Equal normals are not decidable; 10 sd apart one model is enough; TV of 1 sd apart is 0.383, error 0.309.
    fits = _fits([0.0, 10, 1, 1], 1.0)
    needed = shadow.models_needed(fits, (0.05, 0.31, 0.4))
    np.testing.assert_array_equal(needed[0.05], [np.nan, 1, np.nan, np.nan])
    assert np.isnan(needed[0.31][0])
    # The fixed rule is the better one for equal variances: it is enough from the step found on, and not before.
    smallest = int(needed[0.31][2])
    before = max(k for k in shadow.LADDER if k < smallest)
    assert shadow.fixed_error(fits, smallest)[2] <= 0.31 < shadow.fixed_error(fits, before)[2]
    assert needed[0.4][2] < 8


def test_beyond_the_cap_is_not_the_same_as_not_decidable():
    limit = shadow.limit_error(_fits(1.0, 1.0))[0]
    needed = shadow.models_needed(_fits(1.0, 1.0), (limit + 1e-7, limit - 1e-7))
    assert np.isinf(needed[limit + 1e-7][0]) and np.isnan(needed[limit - 1e-7][0])


@settings(max_examples=10)  # each tries the whole ladder
@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(0.2, 5)), min_size=1, max_size=4))
def test_models_needed_fall_as_the_error_rises(cases):
    mean, sd = np.array(cases).T
    needed = shadow.models_needed(_fits(mean, sd), (0.02, 0.1, 0.25, 0.45))
    columns = [np.where(np.isnan(c), 1e9, np.where(np.isinf(c), 1e8, c)) for c in needed.values()]
    for strict, lax in itertools.pairwise(columns):
        assert (lax <= strict).all()


# ---- observations (Lemma 2)


@pytest.mark.parametrize("d", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("advantage", [0.3, 0.9])
def test_observations_needed_enclose_the_exact_number(d, advantage):
    # n observations of unit normals d apart: TV = 2 Phi(sqrt(n) d / 2) - 1.
    exact = (2 * norm.ppf((1 + advantage) / 2) / d) ** 2
    low, high = shadow.observations_needed(1 - np.exp(-d * d / 8), advantage)
    assert low <= exact <= high
    assert high / low < 8  # of one order, whatever the distance


def test_observations_of_equal_and_of_separate_distributions():
    low, high = shadow.observations_needed(np.array([0.0, 1.0]), 0.5)
    np.testing.assert_array_equal(low, [np.inf, 0])
    np.testing.assert_array_equal(high, [np.inf, 0])


# ---- measured


@pytest.mark.parametrize("rule", shadow.RULES)
def test_measured_advantage_is_the_predicted_one(rule):
    rng = np.random.default_rng(5)
    keep = np.broadcast_to(np.arange(30) < 18, (3000, 30))
    phi = np.where(keep, rng.normal(2.0, 0.7, keep.shape), rng.normal(0, 1, keep.shape))
    models = (2, 6)
    measured = shadow.measured_advantage(phi, keep, models, rule, 4, rng)
    predicted = [1 - 2 * shadow.expected_error(_fits(2.0, 0.7), k, rule)[0] for k in models]
    reach = 5 * measured.std(axis=0) / np.sqrt(len(measured)) + (0.01 if rule == "own" else 0)  # and the Sobol points
    assert (np.abs(measured.mean(axis=0) - predicted) < reach).all()
    assert (reach < 0.06).all()


@pytest.mark.parametrize("rule", shadow.RULES)
def test_measured_advantage_on_noise_is_zero(rule):
    rng = np.random.default_rng(6)
    keep = rng.permuted(np.broadcast_to(np.arange(20) < 13, (4000, 20)), axis=1)
    measured = shadow.measured_advantage(rng.normal(size=keep.shape), keep, (2, 5), rule, 3, rng)
    assert (np.abs(measured.mean(axis=0)) < 5 * measured.std(axis=0) / np.sqrt(4000)).all()


def test_measured_advantage_needs_models_to_hold_out_and_leaves_nan_out():
    keep = np.array([[True] * 4 + [False] * 4, [True] * 6 + [False] * 2])
    phi = np.where(keep, 5.0, 0) + 0.01 * np.arange(8)
    measured = shadow.measured_advantage(phi, keep, (1, 2), "fixed", 2, np.random.default_rng(0))
    np.testing.assert_array_equal(measured, [[1, 1], [1, np.nan]])
    phi[0, 0] = phi[0, 7] = np.nan
    measured = shadow.measured_advantage(phi, keep, (2, 3), "fixed", 2, np.random.default_rng(0))
    np.testing.assert_array_equal(measured[0], [1, np.nan])
