"""Distances of distributions against integration, sampling and their known properties."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from experiments.theory_checks.divergences import (
    hellinger_discrete,
    hellinger_multivariate_normal,
    hellinger_normal,
    likelier_region,
    total_variation_normal,
)

means = st.floats(-20, 20)
sds = st.floats(0.05, 20)
normals = st.tuples(means, sds, means, sds)


def _integral(function, *parameters):
    """Over the line, split where either density lies."""
    mean0, sd0, mean1, sd1 = parameters
    points = sorted({m + k * s for m, s in ((mean0, sd0), (mean1, sd1)) for k in (-12, -4, -1, 0, 1, 4, 12)})
    return sum(quad(function, low, high, limit=200)[0] for low, high in itertools.pairwise(points))


@pytest.mark.parametrize("seed", range(8))
def test_normal_distances_are_the_integrals(seed):
    rng = np.random.default_rng(seed)
    mean0, mean1 = rng.normal(0, 2, 2)
    sd0, sd1 = (1, 1) if seed == 0 else np.exp(rng.normal(0, 1, 2))
    p, q = norm(mean0, sd0).pdf, norm(mean1, sd1).pdf
    parameters = mean0, sd0, mean1, sd1
    hellinger = _integral(lambda x: (np.sqrt(p(x)) - np.sqrt(q(x))) ** 2 / 2, *parameters)
    variation = _integral(lambda x: abs(p(x) - q(x)) / 2, *parameters)
    # quad's own tolerance is 1.5e-8 on each of at most 13 pieces; the kinks of |p - q| lie inside of them.
    assert hellinger_normal(*parameters) == pytest.approx(hellinger, abs=2e-7)
    assert total_variation_normal(*parameters) == pytest.approx(variation, abs=2e-7)


@given(normals)
def test_bounds_between_the_two_distances(parameters):
    hellinger, variation = hellinger_normal(*parameters), total_variation_normal(*parameters)
    rounding = 1e-12
    assert 0 <= hellinger <= 1 and 0 <= variation <= 1
    assert hellinger <= variation + rounding
    assert variation <= np.sqrt(hellinger * (2 - hellinger)) + 1e-7  # the root of rounding errors near 0
    assert np.sqrt(hellinger * (2 - hellinger)) <= np.sqrt(2 * hellinger) + rounding


@given(normals)
def test_symmetric(parameters):
    mean0, sd0, mean1, sd1 = parameters
    for distance in (hellinger_normal, total_variation_normal):
        assert distance(mean1, sd1, mean0, sd0) == pytest.approx(distance(*parameters), abs=1e-9)


@given(normals, st.floats(-5, 5), st.floats(0.1, 10), st.booleans())
def test_affine_invariant(parameters, shift, scale, flip):
    mean0, sd0, mean1, sd1 = parameters
    sign = -1 if flip else 1
    moved = sign * scale * mean0 + shift, scale * sd0, sign * scale * mean1 + shift, scale * sd1
    for distance in (hellinger_normal, total_variation_normal):
        # Near-equal normals: a shift rounds their difference, which the root in TV magnifies to 1e-8 or so.
        assert distance(*moved) == pytest.approx(distance(*parameters), abs=1e-7)


@given(means, sds, st.floats(0.01, 3), st.floats(1.05, 3))
def test_zero_for_equal_normals_only(mean, sd, shift, factor):
    for distance in (hellinger_normal, total_variation_normal):
        assert distance(mean, sd, mean, sd) == 0
        assert distance(mean, sd, mean + shift * sd, sd) > 0
        assert distance(mean, sd, mean, factor * sd) > 0


def test_equal_variances_have_the_textbook_forms():
    d = np.array([0.0, 1e-6, 0.5, 2, 8])
    np.testing.assert_allclose(hellinger_normal(0, 1, d, 1), -np.expm1(-d * d / 8), rtol=1e-12)
    np.testing.assert_allclose(total_variation_normal(0, 1, d, 1), 2 * norm.cdf(d / 2) - 1, atol=1e-15)


@pytest.mark.parametrize("nudge", [1e-15, 1e-12, 1e-8, -1e-15, -1e-12, -1e-8])
def test_nearly_equal_variances_join_the_equal_ones(nudge):
    # A root of the quadratic goes to infinity here; the textbook formula would divide 0 by 0.
    assert total_variation_normal(0, 1, 0.7, 1 + nudge) == pytest.approx(2 * norm.cdf(0.35) - 1, abs=2e-8)


@given(normals, st.floats(-4, 4))
def test_the_region_is_where_the_first_density_is_larger(parameters, z):
    mean0, sd0, mean1, sd1 = parameters
    low, high, inside = likelier_region(*parameters)
    x = mean0 + z * sd0
    gap = norm.logpdf(x, mean0, sd0) - norm.logpdf(x, mean1, sd1)
    if abs(gap) > 1e-6:
        assert (low < x < high) == (inside == (gap > 0))


def test_very_far_and_very_wide_normals_overflow_nothing():
    with np.errstate(over="raise", invalid="raise"):
        assert hellinger_normal(0, 1, 1e6, 1) == 1 and total_variation_normal(0, 1, 1e6, 1) == 1
        assert hellinger_normal(0, 1e-6, 0, 1e6) == pytest.approx(1, abs=1e-5)
        assert total_variation_normal(0, 1e-6, 0, 1e6) == pytest.approx(1, abs=1e-5)


# ---- multivariate


def _pair(seed, d):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(2, d, d)) / np.sqrt(d) + np.eye(d)
    return rng.normal(0, 0.7, (2, d)), roots @ np.swapaxes(roots, 1, 2)


@pytest.mark.parametrize("d", [2, 5])
def test_multivariate_against_monte_carlo(d):
    mean, covariance = _pair(d, d)
    x = np.random.default_rng(1).multivariate_normal(mean[0], covariance[0], 200_000)
    log_ratio = multivariate_normal(mean[1], covariance[1]).logpdf(x) - multivariate_normal(
        mean[0], covariance[0]
    ).logpdf(x)
    overlaps = np.exp(log_ratio / 2)  # E_0 sqrt(p1/p0) = 1 - H^2
    found = hellinger_multivariate_normal(mean[0], covariance[0], mean[1], covariance[1])
    assert 1 - found == pytest.approx(overlaps.mean(), abs=5 * overlaps.std() / np.sqrt(len(x)))
    assert 0.05 < found < 0.95  # the case must be able to fail


def test_multivariate_in_one_dimension_is_the_univariate():
    mean0, sd0, mean1, sd1 = np.array([[0, 1], [1, 3], [-2, 0.1]]).T, 2.0, np.array([1, 0.5]), 0.7
    found = hellinger_multivariate_normal(
        mean0[..., None], np.full((2, 3, 1, 1), sd0**2), mean1[:, None, None], np.full((1, 1), sd1**2)
    )
    np.testing.assert_allclose(found, hellinger_normal(mean0, sd0, mean1[:, None], sd1), atol=1e-14)


def test_multivariate_of_independent_axes_multiplies_the_overlaps():
    sd0, sd1, mean1 = np.array([1.0, 2, 0.5]), np.array([1.5, 1, 0.5]), np.array([0.3, -1, 0.2])
    found = hellinger_multivariate_normal(np.zeros(3), np.diag(sd0**2), mean1, np.diag(sd1**2))
    assert 1 - found == pytest.approx(np.prod(1 - hellinger_normal(0, sd0, mean1, sd1)), rel=1e-12)


@given(st.integers(0, 10_000))
def test_multivariate_properties(seed):
    mean, covariance = _pair(seed, 3)
    rng = np.random.default_rng(seed)
    matrix, shift = rng.normal(size=(3, 3)) + 3 * np.eye(3), rng.normal(size=3)
    found = hellinger_multivariate_normal(mean[0], covariance[0], mean[1], covariance[1])
    moved = [mean @ matrix.T + shift, matrix @ covariance @ matrix.T]
    assert 0 < found <= 1
    assert hellinger_multivariate_normal(mean[1], covariance[1], mean[0], covariance[0]) == pytest.approx(found)
    assert hellinger_multivariate_normal(mean[0], covariance[0], mean[0], covariance[0]) < 1e-14
    # Conditioning: the matrices here have condition numbers up to 1e6 or so.
    assert hellinger_multivariate_normal(moved[0][0], moved[1][0], moved[0][1], moved[1][1]) == pytest.approx(
        found, abs=1e-6
    )


def test_multivariate_stays_finite_where_determinants_underflow():
    # det of 1e-8 I in 50 dimensions is 1e-400, which is 0 in float64.
    small = 1e-8 * np.eye(50)
    assert hellinger_multivariate_normal(np.zeros(50), small, np.zeros(50), small) == pytest.approx(0, abs=1e-12)


def test_a_singular_covariance_is_refused():
    with pytest.raises(np.linalg.LinAlgError):
        hellinger_multivariate_normal(np.zeros(2), np.ones((2, 2)), np.zeros(2), np.eye(2))


# ---- discrete


@given(st.floats(0, 1), st.floats(0, 1))
def test_correctness_obeys_equation_8(p, q):
    # Two values: TV = |p - q|, and for q = 1 (members always right) H^2 = 1 - sqrt(1 - TV).
    shares = np.array([[p, 1 - p], [q, 1 - q], [1, 0]])
    found = hellinger_discrete(shares[0], shares[1])
    assert found <= abs(p - q) + 1e-12
    assert hellinger_discrete(shares[0], shares[2]) == pytest.approx(1 - np.sqrt(p), abs=1e-12)
