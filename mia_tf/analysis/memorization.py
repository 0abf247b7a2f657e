"""How much a model's answer on an example depends on having trained on it (Feldman and Zhang, 2020)."""

import numpy as np


def memorization(correct: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """mem(z) = P[correct | z in the training set] - P[correct | z not in it], over the shadow models.

    Args:
        correct: (n, M) bool, whether each model classifies each example correctly.
        keep: (n, M) bool, true where the example was in the model's training set.

    Returns:
        Memorization in [-1, 1] and its standard error, each (n,) float64, NaN where one side has no model.
        The standard error is that of a difference of two binomial proportions with one success and one
        failure added to each (Agresti and Caffo, The American Statistician 54(4), 2000): unlike the plain
        one it is not 0 where all the models of a side agree.
    """
    estimate = np.zeros(len(keep))
    variance = np.zeros(len(keep))
    for side, sign in ((keep, 1), (~keep, -1)):
        count = side.sum(axis=1)
        right = (correct & side).sum(axis=1)
        estimate += sign * np.divide(right, count, out=np.full(len(keep), np.nan), where=count > 0)
        smoothed = (right + 1) / (count + 2)
        variance += smoothed * (1 - smoothed) / (count + 2)
    return estimate, np.where(np.isnan(estimate), np.nan, np.sqrt(variance))
