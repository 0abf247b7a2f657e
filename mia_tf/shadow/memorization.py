"""How much a model's answer on an example depends on having trained on it (Feldman and Zhang, 2020)."""

import numpy as np


def memorization(correct: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """mem(z) = P[correct | z in the training set] - P[correct | z not in it], over the shadow models.

    Args:
        correct: (n, M) bool, whether each model classifies each example correctly.
        keep: (n, M) bool, true if the example was in the model's training set.

    Returns:
        Memorization in [-1, 1] and its standard error, each (n,) float64, NaN if one side has no model.
        The standard error is that of a difference of two binomial proportions. One success and one failure are added to
        each (Agresti and Caffo, The American Statistician 54(4), 2000). Unlike the plain one, it is not 0 if all models
        of a side agree.
    """
    counts, rights = (
        np.array([values.sum(axis=1) for values in sides])
        for sides in ((keep, ~keep), (correct & keep, correct & ~keep))
    )
    # One division of whole numbers: equal differences of proportions stay equal, as ranks of them need.
    product = counts[0] * counts[1]
    known = product > 0
    difference = rights[0] * counts[1] - rights[1] * counts[0]
    estimate = np.divide(difference, product, out=np.full(len(keep), np.nan), where=known)
    smoothed = (rights + 1) / (counts + 2)
    error = np.sqrt((smoothed * (1 - smoothed) / (counts + 2)).sum(axis=0))
    return estimate, np.where(known, error, np.nan)
