"""Out-of-distribution scores of a model's logits. HIGHER means further out of distribution."""

import numpy as np
from scipy.special import logsumexp


def max_softmax(logits: np.ndarray) -> np.ndarray:
    """1 - the largest softmax probability, in [0, 1 - 1/C] (Hendrycks and Gimpel, 2017, negated and shifted).

    Args:
        logits: (..., C) float.

    Returns:
        (...) float64.
    """
    logits = np.asarray(logits, np.float64)
    return -np.expm1(logits.max(axis=-1) - logsumexp(logits, axis=-1))


def energy(logits: np.ndarray) -> np.ndarray:
    """Free energy -logsumexp(logits) in nats at temperature 1 (Liu et al., 2020).

    Args:
        logits: (..., C) float.

    Returns:
        (...) float64.
    """
    return -logsumexp(np.asarray(logits, np.float64), axis=-1)


def mean_over_out(scores: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(n,) mean of scores (n, M) over the models whose training set lacks the example; NaN where there is none."""
    count = (~keep).sum(axis=1)
    return np.where(keep, 0, scores).sum(axis=1) / np.where(count, count, np.nan)
