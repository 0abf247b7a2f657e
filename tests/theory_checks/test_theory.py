"""Lemmas and theorems of Choi et al. on cases with a known answer."""

import numpy as np
import pytest
from scipy.stats import norm

from experiments.theory_checks import theory as t
from experiments.theory_checks.divergences import hellinger_normal, total_variation_normal
from mia_tf.figures.strength import strength
from mia_tf.shadow.memorization import memorization
from mia_tf.validation import InputError

ONES = np.ones((1, 400))


def _phi(examples, models=400, shift=1.0, sd_in=1.0, seed=0):
    """phi that is N(0, 1) OUT and N(shift, sd_in^2) IN, and who is IN."""
    rng = np.random.default_rng(seed)
    keep = rng.permuted(np.arange(models) < models // 2, axis=0) ^ np.zeros((examples, 1), bool)
    noise = rng.standard_normal((examples, models))
    return np.where(keep, shift + sd_in * noise, noise), keep


# ---- Lemma 1


def test_the_soft_test_is_the_papers():
    # g = e / (1 + e) with e = exp(log(P0/P1) / 2), as section 2.2 has it.
    log_ratio = np.array([-3.0, 0, 0.5, 4])
    e = np.exp(log_ratio / 2)
    np.testing.assert_allclose(t.sllr_probability(log_ratio), e / (1 + e), rtol=1e-14)
    assert t.sllr_probability(2000.0) == 1 and t.sllr_probability(-2000.0) == 0


def test_lemma_1_on_a_grid():
    mean1, sd0, sd1 = np.meshgrid([-3, 0, 0.1, 1, 6], [0.3, 1, 2], [0.1, 1, 3])
    advantage = t.sllr_advantage_normal(0.0, sd0, mean1, sd1)
    # The quadrature resolves ratios up to 30 to 1e-6; the lemma says equality, Theorem 1 needs ">=" only.
    np.testing.assert_allclose(advantage, hellinger_normal(0, sd0, mean1, sd1), atol=1e-6)
    assert (advantage <= total_variation_normal(0, sd0, mean1, sd1) + 1e-6).all()


def test_lemma_1_measured():
    # The soft adversary played 200,000 times on draws, without any quadrature.
    rng = np.random.default_rng(0)
    plays, mean1, sd1 = 200_000, 1.2, 0.5
    rates = []
    for mean, sd in ((0, 1), (mean1, sd1)):
        x = rng.normal(mean, sd, plays)
        ratio = norm.logpdf(x, 0, 1) - norm.logpdf(x, mean1, sd1)
        rates.append((rng.random(plays) < t.sllr_probability(ratio)).mean())
    # Standard error of the difference at most sqrt(2 / 4 / 200,000) = 0.0016; five of them.
    assert rates[0] - rates[1] == pytest.approx(hellinger_normal(0, 1, mean1, sd1), abs=0.008)


# ---- Theorem 2 and Lemma 3


def test_predicting_by_correctness_has_the_advantage_memorization():
    rng = np.random.default_rng(0)
    correct, keep = rng.random((50, 31)) < 0.6, rng.random((50, 31)) < 0.5
    advantage, _ = t.correctness_advantage(correct, keep)
    np.testing.assert_allclose(advantage, memorization(correct, keep)[0], atol=1e-14)


def test_stability_advantage_is_what_a_randomized_adversary_gets():
    rng = np.random.default_rng(1)
    values, keep = rng.uniform(-2, 3, (1, 10)), np.arange(10)[None] < 4
    advantage, _ = t.stability_advantage(values, keep, -2, 3)
    says_member = rng.random((100_000, 10)) < (values + 2) / 5
    played = says_member[:, :4].mean() - says_member[:, 4:].mean()
    # 400,000 and 600,000 coins: standard error below sqrt(1/4/4e5 + 1/4/6e5) = 0.001; five of them.
    assert advantage[0] == pytest.approx(played, abs=0.005)


def test_stability_advantage_of_a_wide_score_stays_an_advantage():
    # Without the division by the range, which the lemma leaves out, this one would be 10.
    values, keep = np.array([[10.0, 10, 0, 0]]), np.array([[True, True, False, False]])
    assert t.stability_advantage(values, keep, 0, 10)[0] == 1
    assert t.stability_advantage(-values, keep, -10, 0)[0] == -1


def test_standard_error_of_the_stability_advantage():
    rng = np.random.default_rng(2)
    values, keep = rng.beta(2, 5, (4000, 40)), np.broadcast_to(np.arange(40) < 25, (4000, 40))
    advantage, error = t.stability_advantage(values, keep, 0, 1)
    # The sd of 4,000 independent values has a relative error of 1 / sqrt(8000) = 0.011.
    assert advantage.std() == pytest.approx(np.sqrt(np.square(error).mean()), rel=0.05)


def test_one_sided_examples_are_unknown():
    keep = np.array([[True, True], [False, False], [True, False]])
    advantage, error = t.stability_advantage(np.full((3, 2), 0.5), keep, 0, 1)
    np.testing.assert_array_equal(np.isnan(advantage), [True, True, False])
    assert np.isnan(error).all()


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan, np.inf])
def test_a_score_outside_its_bounds_is_refused(value):
    with pytest.raises(InputError, match=r"must lie in \[0, 1\]"):
        t.stability_advantage(np.array([[value, 0.5]]), np.array([[True, False]]), 0, 1)


# ---- fits


def test_fits_are_those_of_each_side():
    phi, keep = _phi(3, shift=2.0, sd_in=0.5)
    fits = t.fit_normals(phi + 1e6, keep, ONES)  # far from 0, where sums of squares would lose all digits
    for row in range(3):
        assert fits.mean_in[row, 0] - 1e6 == pytest.approx(phi[row][keep[row]].mean(), abs=1e-8)
        assert fits.sd_out[row, 0] == pytest.approx(phi[row][~keep[row]].std(), rel=1e-8)


def test_weights_of_whole_numbers_repeat_models_and_unused_ones_do_not_count():
    phi, keep = _phi(1, models=40)
    used = np.arange(40)[None] % 5 > 0
    weights = np.random.default_rng(3).integers(1, 4, (1, 40))
    fits = t.fit_normals(phi, keep, weights.astype(float), used)
    repeated = np.repeat(phi[0], np.where(keep & used, weights, 0)[0])
    assert fits.mean_in[0, 0] == pytest.approx(repeated.mean())
    assert fits.sd_in[0, 0] == pytest.approx(repeated.std())


def test_a_side_without_spread_has_a_floor():
    keep = np.arange(6)[None] < 3
    fits = t.fit_normals(np.where(keep, 1.0, 0.0), keep, np.ones((1, 6)))
    assert fits.sd_in[0, 0] == pytest.approx(1e-6) and fits.hellinger[0, 0] == 1


def test_bias_correction_of_the_fitted_distance():
    # Equal normals, 10 models per side: fitted H^2 is (1/10 + 1/10)/4 = 0.05 and more, its truth 0.
    phi, keep = _phi(400, models=20, shift=0)
    weights = t.bootstrap_weights(300, 20, np.random.default_rng(0))
    plain = t.fit_normals(phi, keep, np.ones((1, 20))).hellinger[:, 0]
    estimate, replicates = t.corrected(plain, t.fit_normals(phi, keep, weights).hellinger)
    assert plain.mean() > 0.045
    # At 10 models most of the bias goes, not all of it: a second order remains.
    assert abs(estimate.mean()) < 0.4 * plain.mean()
    assert replicates.mean() == pytest.approx(estimate.mean(), abs=1e-12)


def test_binned_distances_never_exceed_the_exact_ones_but_by_noise():
    phi, keep = _phi(200, shift=1.5, sd_in=0.6)
    hellinger, variation = (d.mean() for d in t.binned_distances(phi, keep, ONES))
    # Bias of three free shares at 200 a side: 3/8 (1/200 + 1/200) = 0.004 for H^2.
    assert 0.75 * hellinger_normal(0, 1, 1.5, 0.6) < hellinger < hellinger_normal(0, 1, 1.5, 0.6) + 0.005
    assert 0.8 * total_variation_normal(0, 1, 1.5, 0.6) < variation < total_variation_normal(0, 1, 1.5, 0.6) + 0.01


def test_binned_distances_of_separated_sides_are_one():
    keep = np.arange(16)[None] < 8
    phi = np.where(keep, 100.0, 0) + np.arange(16)
    assert [d[0, 0] for d in t.binned_distances(phi, keep, np.ones((1, 16)))] == pytest.approx([1, 1])


def test_correctness_distances():
    keep = np.arange(30)[None] < 10
    correct = np.where(keep, True, np.arange(30) < 15)  # all of 10 IN, 5 of 20 OUT
    hellinger, mem = t.correctness_distances(correct, keep, np.ones((1, 30)))
    assert mem[0, 0] == pytest.approx(0.75)
    assert hellinger[0, 0] == pytest.approx(1 - np.sqrt(0.25))
    # One imaginary right and one wrong model per side: 11/12 - 6/22.
    _, cautious = t.correctness_distances(correct, keep, np.ones((1, 30)), pseudo=np.ones((1, 2, 2)))
    assert cautious[0, 0] == pytest.approx(11 / 12 - 6 / 22)


def test_imaginary_models_give_agreeing_sides_a_sampling_error():
    keep = np.arange(30)[None] < 10
    rng = np.random.default_rng(0)
    weights, pseudo = t.bootstrap_weights(4000, 30, rng), rng.exponential(size=(4000, 2, 2))
    _, mem = t.correctness_distances(np.ones((1, 30), bool), keep, weights, pseudo=pseudo)
    # Beta(11, 1) against Beta(21, 1).
    assert mem.std() == pytest.approx(np.sqrt(11 / 12**2 / 13 + 21 / 22**2 / 23), rel=0.1)


def test_the_statistic_can_break_equation_8():
    # Always right, IN and OUT, so memorization is 0; but phi is 3 higher IN: H^2 = 1 - exp(-9/8) = 0.68.
    phi, keep = _phi(5, shift=3.0)
    phi = phi + 20
    _, mem = t.correctness_distances(phi > 0, keep, ONES)
    assert (mem == 0).all()
    np.testing.assert_allclose(t.fit_normals(phi, keep, ONES).hellinger, 1 - np.exp(-9 / 8), atol=0.1)


# ---- the paper's words


@pytest.mark.parametrize(
    ("rho", "p", "word"),
    [
        (0.39, 0, "weak"),
        (-0.39, 0, "weak"),
        (0.4, 0, "moderate"),
        (0.551, 0, "moderate"),  # the paper's own example
        (-0.59, 0, "moderate"),
        (0.6, 0, "strong"),
        (-0.9, 1e-9, "strong"),
        (0.9, 0.001, "not significant"),
        (0.9, np.nan, "not significant"),
        (np.nan, np.nan, "unresolved"),
    ],
)
def test_strength(rho, p, word):
    assert strength(rho, p, n=3) == word  # no interval: the estimate decides


@pytest.mark.parametrize(
    "rho, n, words",
    [
        (0.674, 250, "moderate to strong"),  # [0.59, 0.74]: within SVHN it was once called strong
        (-0.674, 250, "moderate to strong"),
        (0.674, 5000, "strong"),
        (0.38, 5000, "weak to moderate"),
        (0.5, 20, "weak to strong"),
        (0.1, 200, "weak"),  # the interval reaches below 0
    ],
)
def test_strength_names_all_that_the_interval_spans(rho, n, words):
    assert strength(rho, 1e-9, n) == words
