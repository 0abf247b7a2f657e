"""Out-of-distribution scores of a model's logits. HIGHER means further out of distribution."""

import numpy as np
from scipy.special import expit, logsumexp

from mia_tf.shadow import signals

OVER_OUT = "mean over the models that were not trained on the example"
OVER_IN = "mean over the models that were trained on the example"
"""Whose scores are meant. An audit has the first; the tables and figures say so."""


def max_softmax(logits: np.ndarray) -> np.ndarray:
    """1 - the largest softmax probability, in [0, 1 - 1/C] (Hendrycks and Gimpel, 2017, negated and shifted).

    Args:
        logits: (..., C) float.

    Returns:
        (...) float64.
    """
    # 1 - p of the predicted class, whose digits a subtraction from 1 would lose where the model is sure.
    return expit(-signals.phi(logits, np.argmax(logits, axis=-1)))


def energy(logits: np.ndarray) -> np.ndarray:
    """Free energy -logsumexp(logits) in nats at temperature 1 (Liu et al., 2020).

    Args:
        logits: (..., C) float.

    Returns:
        (...) float64.
    """
    return -logsumexp(np.asarray(logits, np.float64), axis=-1)


def mean_over(scores: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(n,) mean of scores (n, M) over the models of each example that `used` (n, M) marks; NaN if it is missing."""
    count = used.sum(axis=1)
    return np.where(used, scores, 0).sum(axis=1) / np.where(count, count, np.nan)
