"""How many shadow models an attack on one example needs: predicted, measured, and for a user to read off.

The decision is LiRA's from ONE answer of the target: IN if the normal fitted to K IN models makes phi likelier
than the normal fitted to K OUT models. "fixed" gives both sides one variance, so that the nearer mean wins;
"own" takes each side's own, and so needs K >= 2. With prior 1/2 its error is (1 - advantage) / 2.
"""

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, owens_t
from scipy.stats import qmc

from experiments.theory_checks.divergences import likelier_region, probability
from experiments.theory_checks.theory import VARIANCE_FLOOR, NormalFits

LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Numbers of shadow models per side that are tried; the last is the cap."""
RULES = ("fixed", "own")
_DRAWS = 256


def observations_needed(hellinger: np.ndarray, advantage: float) -> tuple[np.ndarray, np.ndarray]:
    """Bounds, of order 1/H^2, on the observations that the best test needs for an advantage (Lemma 2).

    n observations of one side have H^2_n = 1 - (1 - H^2)^n, and H^2_n <= TV_n <= sqrt(1 - (1 - H^2_n)^2). An
    advantage a therefore needs log(1/(1 - a^2)) / (2 log(1/(1 - H^2))) at least, and log(1/(1 - a)) / log(1/(1 - H^2))
    is enough. These are OBSERVATIONS of the target's side with both distributions known, not shadow models.

    Args: hellinger in [0, 1]; advantage in (0, 1). Returns: lower and upper bound, not rounded; inf if H^2 is 0.
    """
    with np.errstate(divide="ignore"):
        per_observation = -np.log1p(-np.asarray(hellinger, np.float64))
        return -0.5 * np.log1p(-(advantage**2)) / per_observation, -np.log1p(-advantage) / per_observation


def limit_error(fits: NormalFits) -> np.ndarray:
    """Error that no number of shadow models undercuts: (1 - TV) / 2, that of the exact likelihood ratio."""
    return 0.5 * (1 - fits.total_variation)


def fixed_error(fits: NormalFits, models: int) -> np.ndarray:
    """Mean error of the "fixed" decision over random shadow models, exact if phi is normal.

    The nearer mean is IN's if D S > 0. D is the difference of the fitted means, and S is how far phi lies above their
    midpoint. (D, S) is a bivariate normal, whose quadrants have Owen's closed form.

    Args: fits: any shape; models: K >= 1. Returns: errors of that shape.
    """
    var_out, var_in = np.square(fits.sd_out), np.square(fits.sd_in)
    shift = fits.mean_in - fits.mean_out
    sd_difference = np.sqrt((var_in + var_out) / models)
    covariance = (var_out - var_in) / (2 * models)
    said_in = []
    for var, offset in ((var_in, 0.5), (var_out, -0.5)):
        sd_above = np.sqrt(var + (var_in + var_out) / (4 * models))
        correlation = covariance / (sd_difference * sd_above)
        same_sign = _same_sign(shift / sd_difference, offset * shift / sd_above, correlation)
        said_in.append(same_sign)
    return 0.5 * (1 - said_in[0] + said_in[1])


def _same_sign(h: np.ndarray, k: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """P[X Y > 0] for unit-variance normals of means h and k (Owen, 1956)."""
    root = np.sqrt(1 - np.square(correlation))
    # Owen's formula divides by the means; his T is even in its first argument and a tiny mean changes nothing.
    h, k = (np.where(np.abs(m) < 1e-150, 1e-150, m) for m in (h, k))
    both_negative = (
        0.5 * (ndtr(-h) + ndtr(-k))
        - owens_t(h, (k - correlation * h) / (h * root))
        - owens_t(k, (h - correlation * k) / (k * root))
        - np.where(h * k < 0, 0.5, 0)
    )
    return 1 - ndtr(-h) - ndtr(-k) + 2 * both_negative


def own_error(fits: NormalFits, models: int, seed: int) -> np.ndarray:
    """Mean error of the "own" decision: exact for a given fit, averaged over fits to samples of normals.

    Args: fits: (n,); models: K >= 2; seed: scrambles the Sobol points, the same for all examples. Returns: (n,) errors.
    """
    total = np.zeros(np.shape(fits.mean_in))
    points = np.clip(qmc.Sobol(4, seed=seed).random(_DRAWS), 1e-12, 1 - 1e-12)
    means = ndtri(points[:, :2]) / np.sqrt(models)
    spreads = np.sqrt(chdtri(models - 1, points[:, 2:]) / models)  # ddof 0
    for mean, spread in zip(means, spreads, strict=True):
        region = likelier_region(
            fits.mean_in + mean[0] * fits.sd_in,
            spread[0] * fits.sd_in,
            fits.mean_out + mean[1] * fits.sd_out,
            spread[1] * fits.sd_out,
        )
        total += probability(region, fits.mean_out, fits.sd_out) - probability(region, fits.mean_in, fits.sd_in)
    return 0.5 * (1 + total / _DRAWS)


def expected_error(fits: NormalFits, models: int, rule: str, seed: int = 0) -> np.ndarray:
    """(n,) mean error of either of RULES with that many shadow models per side; a guess if "own" has only one."""
    if rule == "fixed":
        return fixed_error(fits, models)
    return own_error(fits, models, seed) if models > 1 else np.full(np.shape(fits.mean_in), 0.5)


def models_needed(fits: NormalFits, errors: tuple[float, ...], seed: int = 0) -> dict[float, np.ndarray]:
    """For each example the shadow models per side that suffice to decide on its membership with a given error.

    The smaller of what "fixed" and "own" need, in steps of LADDER; sufficient means that all larger numbers of
    the ladder do as well. The fits themselves are taken for the truth: with few models they look further apart
    than they are, and the answer is too small.

    Args:
        fits: (n,) normals of phi.
        errors: mean of the two kinds of error, each in (0, 0.5).
        seed: of `own_error`.

    Returns:
        error -> (n,) float64 column: a number of LADDER; inf if the cap is not enough; NaN if it is not
        decidable, as even infinitely many models have a larger error.
    """
    tables = []
    for rule in RULES:
        rows = np.array([expected_error(fits, k, rule, seed) for k in LADDER])
        # The largest error from each step on; what the draws add at one step cannot undo a later one.
        tables.append(np.maximum.accumulate(rows[::-1])[::-1])
    reached = np.minimum(*tables)
    floor = limit_error(fits)
    columns = {}
    for error in errors:
        enough = reached <= error
        first = np.array(LADDER, np.float64)[enough.argmax(axis=0)]
        columns[error] = np.where(enough.any(axis=0), first, np.where(floor <= error, np.inf, np.nan))
    return columns


def measured_advantage(
    phi: np.ndarray, keep: np.ndarray, models: tuple[int, ...], rule: str, repeats: int, rng: np.random.Generator
) -> np.ndarray:
    """Advantage of the decision on models that its K shadow models per side do not include, per example.

    Args:
        phi: (n, M) float64 of one query; NaN leaves a model out.
        keep: (n, M) bool.
        models: numbers K of shadow models per side.
        rule: of RULES.
        repeats: how often shadow models are drawn anew for each K.
        rng: draws them.

    Returns:
        (n, len(models)) float64; NaN if a side has not more than K models.
    """
    total = np.zeros((len(phi), len(models)))
    for _ in range(repeats):
        sides = [_shuffled(np.where(side, phi, np.nan), rng) for side in (keep, ~keep)]
        for position, k in enumerate(models):
            fits = []
            for side in sides:
                mean = side[:, :k].mean(axis=1, keepdims=True)
                variance = np.square(side[:, :k] - mean).mean(axis=1, keepdims=True)
                fits.append((mean, np.maximum(variance, VARIANCE_FLOOR)))
            rates = []
            for side in sides:
                held_out = side[:, k:]
                evidence = [-np.square(held_out - mean) for mean, _ in fits]
                if rule == "own":
                    evidence = [e / v - np.log(v) for e, (_, v) in zip(evidence, fits, strict=True)]
                said_in = np.where(np.isnan(held_out), 0, evidence[0] > evidence[1]).sum(axis=1)
                count = np.isfinite(held_out).sum(axis=1)
                rates.append(said_in / np.where(count, count, np.nan))
            total[:, position] += rates[0] - rates[1]
    return total / repeats


def _shuffled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each row in random order, its NaN at the end."""
    keys = np.where(np.isnan(values), np.inf, rng.random(values.shape))
    return np.take_along_axis(values, np.argsort(keys, axis=1), axis=1)
