"""How often an attack recognises each single example, and the order of the examples by it."""

import numpy as np

from mia_tf.analysis.statistics import binomial_bounds


def exposure(scores: np.ndarray, keep: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share of the targets trained on an example that an attack recognises by it.

    Args:
        scores: (N, T) float, higher = member; NaN for a pair without a score.
        keep: (N, T) bool, membership in the targets' training sets.
        threshold: "member" is said of scores at or above it; NaN: nothing is known.

    Returns:
        The share and both ends of its 95% interval (Clopper-Pearson), each (N,) float64; NaN if no target with a score
        was trained on the example.

    Example:
        >>> exposure(np.array([[2.0, 0.5, 3.0]]), np.array([[True, True, False]]), 1.0)[0]
        array([0.5])
    """
    counted = keep & ~np.isnan(scores) & ~np.isnan(threshold)
    trials = counted.sum(axis=1)
    times_flagged = (counted & (scores >= threshold)).sum(axis=1)
    known = trials > 0
    low, high = binomial_bounds(times_flagged, np.where(known, trials, 1))
    share = np.divide(times_flagged, trials, out=np.full(len(keep), np.nan), where=known)
    return share, np.where(known, low, np.nan), np.where(known, high, np.nan)


def ranks(exposures: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """The rank of each example, (N,) float64: 1 for the most exposed; ties in the order of their mean evidence.

    Args:
        exposures, evidence: (N,) float64, higher = easier to recognise; NaN comes last. An example of which both are
            NaN has no rank: NaN.

    Example:
        >>> ranks(np.array([0.5, np.nan, 0.5, np.nan]), np.array([1.0, 0.0, 2.0, np.nan]))
        array([ 2.,  3.,  1., nan])
    """
    order = np.lexsort((-np.nan_to_num(evidence, nan=-np.inf), -np.nan_to_num(exposures, nan=-np.inf)))
    result = np.empty(len(order))
    result[order] = np.arange(1, len(order) + 1)
    return np.where(np.isnan(exposures) & np.isnan(evidence), np.nan, result)
