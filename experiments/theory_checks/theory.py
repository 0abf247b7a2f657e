"""The theory of Choi et al. (section 5, Appendix A) on the record of the shadow models.

P0 is the distribution of a model's answer on an example that it did not train on (OUT), P1 that on one it did
(IN). An adversary's advantage is its true minus its false positive rate.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from experiments.theory_checks.divergences import hellinger_discrete, hellinger_normal, total_variation_normal
from mia_tf.validation import check

VARIANCE_FLOOR = 1e-12
"""Logits are float32: a standard deviation under 1e-6 is rounding."""
_QUADRATURE = np.linspace(-12, 12, 4801)
"""Standard deviations from the mean; steps of 0.005."""


# ---- the soft log-likelihood-ratio test (section 2.2, Lemma 1)


def sllr_probability(log_ratio: np.ndarray) -> np.ndarray:
    """Probability that the soft test outputs P0: sqrt(P0/P1) / (1 + sqrt(P0/P1)), of log(P0/P1) in nats."""
    return expit(0.5 * np.asarray(log_ratio, np.float64))


def sllr_advantage_normal(mean0: np.ndarray, sd0: np.ndarray, mean1: np.ndarray, sd1: np.ndarray) -> np.ndarray:
    """Advantage of the soft test from one sample of one of two normals, by quadrature: Lemma 1 without using it.

    The lemma says H^2. The steps resolve ratios of the standard deviations from 1/30 to 30 to 1e-6.
    """
    parameters = (np.asarray(a, np.float64)[..., None] for a in (mean0, sd0, mean1, sd1))
    mean0, sd0, mean1, sd1 = parameters
    density = np.exp(-0.5 * np.square(_QUADRATURE))
    density /= density.sum()
    outputs = []
    for mean, sd in ((mean0, sd0), (mean1, sd1)):
        x = mean + sd * _QUADRATURE
        log_ratio = 0.5 * (np.square((x - mean1) / sd1) - np.square((x - mean0) / sd0)) + np.log(sd1 / sd0)
        outputs.append(sllr_probability(log_ratio) @ density)
    return outputs[0] - outputs[1]


# ---- advantages measured on the models (Theorem 2, Lemma 3)


def stability_advantage(values: np.ndarray, keep: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Advantage of the adversary that says "member" with a probability that rises with a bounded score (Lemma 3).

    The probability is (value - low) / (high - low), so the advantage is the difference of the score's means
    IN and OUT, over its range: without this division, which the lemma leaves to its "proportional", it could
    exceed 1. Nothing is fitted, so no model has to be left out.

    Args:
        values: (n, M) float in [low, high], HIGHER for members: a loss or an OOD score goes in negated.
        keep: (n, M) bool.
        low, high: bounds that do not depend on the values.

    Returns:
        Advantage in [-1, 1] and its standard error (unequal variances), each (n,) float64; NaN if a side
        has no model, the error also if one has a single model.

    Raises:
        InputError: a value outside the bounds.
    """
    check(
        "values",
        f"{np.min(values):g} to {np.max(values):g}",
        bool(np.all((values >= low) & (values <= high))),
        f"must lie in [{low:g}, {high:g}]",
    )
    chances = (np.asarray(values, np.float64) - low) / (high - low)
    means, errors = [], []
    for side in (keep, ~keep):
        count = side.sum(axis=1)
        mean = np.where(side, chances, 0).sum(axis=1) / np.where(count, count, np.nan)
        squares = np.where(side, np.square(chances - mean[:, None]), 0).sum(axis=1)
        means.append(mean)
        errors.append(squares / np.where(count >= 2, count * (count - 1.0), np.nan))
    return means[0] - means[1], np.sqrt(errors[0] + errors[1])


def correctness_advantage(correct: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Advantage of the adversary that says "member" if the model is right (Theorem 2), and its standard error.

    On the same models this is memorization, term by term; on other models it is an independent check of it.

    Args: correct, keep: (n, M) bool. Returns: as `stability_advantage`.
    """
    return stability_advantage(correct, keep, 0, 1)


# ---- distances of LiRA's statistic against memorization (Equation 8)


@dataclass(frozen=True)
class NormalFits:
    """Normals fitted to phi OUT and IN, as LiRA does; arrays of one shape, sd > 0, NaN if a side is empty."""

    mean_out: np.ndarray
    sd_out: np.ndarray
    mean_in: np.ndarray
    sd_in: np.ndarray

    @property
    def hellinger(self) -> np.ndarray:
        """H^2 in [0, 1]."""
        return hellinger_normal(self.mean_out, self.sd_out, self.mean_in, self.sd_in)

    @property
    def total_variation(self) -> np.ndarray:
        """TV in [0, 1]."""
        return total_variation_normal(self.mean_out, self.sd_out, self.mean_in, self.sd_in)


def side_means(values: np.ndarray, side: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n, B) weighted means of values (n, M) over the models of a side (n, M) bool, for each of (B, M) weights."""
    total = side @ weights.T
    return (np.where(side, values, 0) @ weights.T) / np.where(total > 0, total, np.nan)


def _sides(keep: np.ndarray, used: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """OUT and IN, each (n, M) bool."""
    return (~keep, keep) if used is None else (~keep & used, keep & used)


def fit_normals(phi: np.ndarray, keep: np.ndarray, weights: np.ndarray, used: np.ndarray | None = None) -> NormalFits:
    """Fits both sides of each example with weighted models.

    Args:
        phi: (n, M) float64 of one query.
        keep: (n, M) bool.
        weights: (B, M) float64 >= 0: ones for the fit itself, random ones for its sampling error.
        used: (n, M) bool, the models to fit; None for all.

    Returns:
        (n, B) arrays; standard deviations of ddof 0, as LiRA has them.
    """
    fits = []
    for side in _sides(keep, used):
        centre = side_means(phi, side, np.ones((1, phi.shape[1])))
        mean = side_means(phi - centre, side, weights)
        variance = side_means(np.square(phi - centre), side, weights) - np.square(mean)
        fits += [centre + mean, np.sqrt(np.maximum(variance, VARIANCE_FLOOR))]
    return NormalFits(*fits)


def binned_distances(
    phi: np.ndarray, keep: np.ndarray, weights: np.ndarray, bins: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """H^2 and TV of phi without a normal, from its shares in bins that hold equally many models.

    Binning loses information, so that, but for sampling error, both are BELOW those of phi itself.

    Args: phi, keep, weights: as `fit_normals`. Returns: two (n, B) arrays.
    """
    place = np.argsort(np.argsort(phi, axis=1, kind="stable"), axis=1) * bins // phi.shape[1]
    shares = [np.stack([side_means(place == b, side, weights) for b in range(bins)], axis=-1) for side in (~keep, keep)]
    return hellinger_discrete(*shares), 0.5 * np.abs(shares[0] - shares[1]).sum(axis=-1)


def correctness_distances(
    correct: np.ndarray,
    keep: np.ndarray,
    weights: np.ndarray,
    used: np.ndarray | None = None,
    pseudo: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """H^2 of the correctness indicator, and memorization, whose size is its TV (Feldman, 2020).

    Args:
        correct: (n, M) bool.
        keep, weights, used: as `fit_normals`.
        pseudo: (B, 2, 2) weights, by side and (right, wrong), of one imaginary model each. Without them a
            side that agrees has no sampling error at all; with them its accuracy has the posterior of a uniform prior.

    Returns:
        H^2 in [0, 1] and memorization in [-1, 1], each (n, B).
    """
    rates = []
    for position, side in enumerate(_sides(keep, used)):
        right, total = (side & correct) @ weights.T, side @ weights.T
        if pseudo is not None:
            right, total = right + pseudo[:, position, 0], total + pseudo[:, position].sum(axis=1)
        rates.append(np.divide(right, total, out=np.full(total.shape, np.nan), where=total > 0))
    shares = [np.stack([rate, 1 - rate], axis=-1) for rate in rates]
    return hellinger_discrete(*shares), rates[1] - rates[0]


def bootstrap_weights(replicates: int, num_models: int, rng: np.random.Generator) -> np.ndarray:
    """(replicates, num_models) weights of a Bayesian bootstrap over the models (Rubin, 1981); no side is lost."""
    return rng.exponential(size=(replicates, num_models))


def corrected(estimate: np.ndarray, replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An estimate and its bootstrap replicates without the bias that the bootstrap sees.

    A distance fitted on few models is too large, for noise moves distributions apart: two equal normals have
    a fitted H^2 of about (1/n_in + 1/n_out) / 4. The replicates have that bias twice.

    Args: estimate (n,), replicates (n, B). Returns: the same shapes, corrected.
    """
    bias = replicates.mean(axis=1) - estimate
    return estimate - bias, replicates - 2 * bias[:, None]
