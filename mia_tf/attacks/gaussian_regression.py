"""Linear regression of the mean and of the log variance of a normal, by maximum likelihood (Harvey, 1976).

"Estimating regression models with multiplicative heteroscedasticity", Econometrica 44(3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.linalg import cho_factor, cho_solve

RIDGE = 0.1
"""Penalty on the coefficients of standardized features, per example: chosen by the likelihood of held-out examples."""
_STEPS = 3
"""Steps of Fisher's scoring: few, so that a few examples do not decide the spread."""
_RANGE = 6.0
"""The log variance differs from its mean by at most this much."""
_LEAST = 1e-6
"""A scale below this is that of constants, whose digits are rounding."""


@dataclass(frozen=True)
class Normals:
    """K normals whose means and log variances are linear in D features.

    Attributes:
        mean: (1 + D, K) float64, the constant and the coefficients of the mean.
        log_variance: (1 + D, K) float64, those of the log variance.
        middle: (K,) float64, the log variance that the others differ from by at most _RANGE.
    """

    mean: np.ndarray
    log_variance: np.ndarray
    middle: np.ndarray

    def standardized(self, features: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(n, K) how many standard deviations values (n, K) lie above what features (n, D) predict."""
        log_variances = self.log_variance[0] + features @ self.log_variance[1:]
        np.clip(log_variances, self.middle - _RANGE, self.middle + _RANGE, out=log_variances)
        return (values - self.mean[0] - features @ self.mean[1:]) * np.exp(-0.5 * log_variances)


def side_by_side(normals: Sequence[Normals]) -> Normals:
    """All of them as one, at least one."""
    return Normals(*(np.concatenate([getattr(one, field.name) for one in normals], -1) for field in fields(Normals)))


def fit_normal(features: np.ndarray, values: np.ndarray) -> Normals:
    """Fits one normal to values (n,) float by features (n, D) float32 or float64, in their precision, n >= 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> features = rng.normal(size=(4000, 1))
        >>> values = 2 * features[:, 0] + rng.normal(size=4000)
        >>> fit_normal(features, values).standardized(np.array([[1.0]]), np.array([[4.0]])).round(0)
        array([[2.]])
    """
    centre, spread = features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST)
    place, scale = values.mean(), max(values.std(), _LEAST)
    design = np.column_stack([np.ones(len(features), features.dtype), (features - centre) / spread])
    penalty = RIDGE * len(values) * np.eye(design.shape[1], dtype=design.dtype)
    penalty[0, 0] = 0
    factor = cho_factor(design.T @ design + penalty, check_finite=False)
    wanted = ((values - place) / scale).astype(design.dtype)
    mean = cho_solve(factor, design.T @ wanted, check_finite=False)
    squares = np.square(wanted - design @ mean)
    log_variance = np.zeros_like(mean)
    log_variance[0] = np.log(max(squares.mean(), _LEAST))
    weighted = np.empty_like(design)
    for _ in range(_STEPS):
        excess = squares * np.exp(-_log_variances(design, log_variance)) - 1
        rise = design.T @ excess - penalty @ log_variance
        log_variance += 0.5 * cho_solve(factor, rise, check_finite=False)
        roots = np.exp(-0.5 * _log_variances(design, log_variance))
        roots /= np.sqrt(np.square(roots).mean())
        np.multiply(design, roots[:, None], out=weighted)  # with itself it takes half the time of two matrices
        of_weighted = cho_factor(weighted.T @ weighted + penalty, check_finite=False)
        mean = cho_solve(of_weighted, weighted.T @ (wanted * roots), check_finite=False)
        squares = np.square(wanted - design @ mean)
    of_mean, of_log_variance = (_of_raw(weights, centre, spread) for weights in (mean, log_variance))
    of_mean *= scale
    of_mean[0] += place
    middle = log_variance[0] + 2 * np.log(scale)
    of_log_variance[0] += 2 * np.log(scale)
    return Normals(of_mean[:, None], of_log_variance[:, None], np.array([middle], np.float64))


def _log_variances(design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n,), in units of the squared scale."""
    return np.clip(design @ weights, weights[0] - _RANGE, weights[0] + _RANGE)


def _of_raw(weights: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(1 + D,) float64 weights of the features themselves, from those of the constant and the standardized features."""
    raw = weights.astype(np.float64)
    raw[1:] /= spread
    raw[0] -= raw[1:] @ centre
    return raw
