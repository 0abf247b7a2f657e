"""Distances of distributions against integration, sampling and their known properties."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from experiments.theory_checks.divergences import (
    hellinger_discrete,
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


# ---- discrete


@given(st.floats(0, 1), st.floats(0, 1))
def test_correctness_obeys_equation_8(p, q):
    # Two values: TV = |p - q|, and for q = 1 (members always right) H^2 = 1 - sqrt(1 - TV).
    shares = np.array([[p, 1 - p], [q, 1 - q], [1, 0]])
    distance = hellinger_discrete(shares[0], shares[1])
    assert distance <= abs(p - q) + 1e-12
    assert hellinger_discrete(shares[0], shares[2]) == pytest.approx(1 - np.sqrt(p), abs=1e-12)
