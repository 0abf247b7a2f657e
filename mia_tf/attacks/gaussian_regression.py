"""Linear regression of the mean and of the log variance of a normal, by maximum likelihood (Harvey, 1976).

"Estimating regression models with multiplicative heteroscedasticity", Econometrica 44(3).
"""

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


class GaussianRegression:
    """A normal whose mean and log variance are linear in features.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> features = rng.normal(size=(4000, 1))
        >>> values = 2 * features[:, 0] + rng.normal(size=4000)
        >>> fit = GaussianRegression(features, values)
        >>> fit.standardized(np.array([[1.0]]), np.array([4.0])).round(0)
        array([2.])
    """

    def __init__(self, features: np.ndarray, values: np.ndarray):
        """Fits values (n,) float to features (n, D) float32 or float64, in the features' precision, n >= 1."""
        self._centre, self._spread = features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST)
        self._place, self._scale = values.mean(), max(values.std(), _LEAST)
        design = self._design(features)
        penalty = RIDGE * len(values) * np.eye(design.shape[1], dtype=design.dtype)
        penalty[0, 0] = 0
        factor = cho_factor(design.T @ design + penalty, check_finite=False)
        wanted = ((values - self._place) / self._scale).astype(design.dtype)
        self._mean = cho_solve(factor, design.T @ wanted, check_finite=False)
        squares = np.square(wanted - design @ self._mean)
        self._log_variance = np.zeros_like(self._mean)
        self._log_variance[0] = np.log(max(squares.mean(), _LEAST))
        weighted = np.empty_like(design)
        for _ in range(_STEPS):
            excess = squares * np.exp(-self._log_variances(design)) - 1
            rise = design.T @ excess - penalty @ self._log_variance
            self._log_variance += 0.5 * cho_solve(factor, rise, check_finite=False)
            roots = np.exp(-0.5 * self._log_variances(design))
            roots /= np.sqrt(np.square(roots).mean())
            np.multiply(design, roots[:, None], out=weighted)  # with itself it takes half the time of two matrices
            of_weighted = cho_factor(weighted.T @ weighted + penalty, check_finite=False)
            self._mean = cho_solve(of_weighted, weighted.T @ (wanted * roots), check_finite=False)
            squares = np.square(wanted - design @ self._mean)

    def standardized(self, features: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(n,) how many standard deviations values (n,) lie above what features (n, D) predict."""
        design = self._design(features)
        residual = (values - self._place) / self._scale - design @ self._mean
        return residual * np.exp(-0.5 * self._log_variances(design))

    def _design(self, features: np.ndarray) -> np.ndarray:
        """(n, 1 + D): a constant, and the features in units of their spread."""
        ones = np.ones(len(features), features.dtype)
        return np.column_stack([ones, (features - self._centre) / self._spread])

    def _log_variances(self, design: np.ndarray) -> np.ndarray:
        """(n,), in units of the squared scale."""
        middle = self._log_variance[0]
        return np.clip(design @ self._log_variance, middle - _RANGE, middle + _RANGE)
