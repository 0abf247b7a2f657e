"""What a run of this size can see, and how many shadow models would settle what it leaves open."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from mia_tf.analysis.statistics import CONFIDENCE

_Z = float(ndtri((1 + CONFIDENCE) / 2))
_MOST_MODELS = 1e9
HALF_WIDTH = 0.1
"""How well the memorization of one record is to be known, either way; then the record is settled."""


def smallest_visible_rate(
    fpr: float, tpr: float, low: float, high: float, num_members: int, num_nonmembers: int
) -> float | None:
    """Returns the smallest true positive rate (TPR) that could have been distinguished from guessing (TPR = FPR).

    The rule: a rate p is visible if the lower end of its 95% interval lies above the FPR f. With m members and n
    non-members that are independent trials, the variance of log(p / f) is

        (1 - p) / (p m) + (1 - f) / (f n)

    because members are few, and so are the non-members that set the threshold. Trials are not quite independent,
    because an attack meets the same record in many models. If the measured interval is wider than that of independent
    trials, every interval is assumed to be wider by the same ratio. The result never contradicts the measured
    interval: a rate was visible if its interval excludes guessing, and was not if its interval holds it.

    Args:
        fpr: in (0, 1).
        tpr, low, high: the measured rate and its 95% interval.
        num_members, num_nonmembers: pairs of a record and a target that were pooled.

    Returns:
        A rate in (fpr, 1]; None if even a rate of 1 could not be distinguished from guessing.

    Example:
        >>> round(smallest_visible_rate(0.01, 0.012, 0.008, 0.017, 4552, 4552), 4)
        0.0146
    """
    excluded = low > fpr
    at = tpr if excluded else max(tpr, fpr)
    reach = np.log(tpr / low) if excluded else max(np.log(max(high, at) / at), np.log(at / fpr))
    wider = max(1.0, reach / (_Z * _log_error(at, fpr, num_members, num_nonmembers)))

    def excess(rate: float) -> float:
        return np.log(rate / fpr) - wider * _Z * _log_error(rate, fpr, num_members, num_nonmembers)

    if excess(1.0) < 0:
        return float(tpr) if excluded else None
    from scipy.optimize import brentq  # slow to import

    visible = brentq(excess, fpr, 1.0)
    return float(min(visible, tpr) if excluded else visible)


def _log_error(tpr: float, fpr: float, num_members: int, num_nonmembers: int) -> float:
    """Standard error of log(TPR at a fixed FPR) near guessing, of independent pairs."""
    return float(np.sqrt((1 - tpr) / (tpr * num_members) + (1 - fpr) / (fpr * num_nonmembers)))


def models_to_halve(low: float, high: float, widths: Sequence[float], num_targets: int) -> int | None:
    """Returns how many target models would make the interval of a rate half as wide.

    The interval is the wider of one over targets and one over records. The first narrows as 1 / sqrt(targets). The
    second holds the noise of single answers, which narrows in the same way, and the differences between records, which
    more models do not reduce. The first interval holds the noise of single answers as well. So what the second has
    beyond it counts as the differences between records.

    Args:
        low, high: the 95% interval.
        widths: of the interval over targets, and of that over records; NaN if it is missing.
        num_targets: how many were measured.

    Returns:
        A number of targets; None if more models alone cannot do it: it takes more records.

    Example:
        >>> models_to_halve(0.1, 0.2, (0.1, 0.1), 16)
        64
    """
    by_targets, by_records = np.square(np.nan_to_num(widths))
    wanted = ((high - low) / 2) ** 2
    if high - low > 1.01 * np.sqrt(max(by_targets, by_records)):  # the interval is that of few recognised records
        return None
    answers = min(by_targets, by_records)
    between_records = by_records - answers
    if between_records >= wanted or not wanted:
        return None
    times = max(by_targets / wanted, answers / (wanted - between_records))
    return int(np.ceil(num_targets * times - 1e-6))


def models_to_resolve(fpr: float, num_targets: int, num_nonmembers: int) -> int:
    """Returns how many target models bring the 1 / FPR non-members that one false positive takes.

    Example:
        >>> models_to_resolve(0.0001, 16, 4552)
        36
    """
    return int(np.ceil(num_targets / fpr / num_nonmembers - 1e-9))


def models_for_memorization(
    num_in: np.ndarray, num_out: np.ndarray, right_in: np.ndarray, right_out: np.ndarray, half_width: float
) -> np.ndarray:
    """Returns how many shadow models make the 95% interval of each record's memorization this wide either way.

    The record keeps its rates of right answers, and the share of models that train on it. The interval is Agresti and
    Caffo's (`shadow.memorization`).

    Args:
        num_in, num_out: (N,) models that trained on each record, and that did not.
        right_in, right_out: (N,) how many of them are right about it.
        half_width: above 0.

    Returns:
        (N,) float64 whole numbers, at least 2; NaN if a side has no model. A record that has enough models gets a
        number that it has.

    Example:
        >>> models_for_memorization(np.array([8]), np.array([8]), np.array([8]), np.array([4]), 0.1)
        array([196.])
    """
    counts = np.array([num_in, num_out], np.float64)
    known = (counts > 0).all(axis=0)
    result = np.full(len(known), np.nan)
    counts = counts[:, known]
    rates = np.array([right_in, right_out])[:, known] / counts
    shares = counts / counts.sum(axis=0)
    low, high = np.zeros(counts.shape[1]), np.full(counts.shape[1], np.log(_MOST_MODELS))
    for _ in range(50):
        middle = (low + high) / 2
        enough = _Z**2 * _variance(np.exp(middle) * shares, rates) <= half_width**2
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    result[known] = np.maximum(np.ceil(np.exp(high) - 1e-6), 2)
    return result


def _variance(counts: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """(N,) Agresti and Caffo's variance of a difference of proportions, of models and rates (2, N)."""
    smoothed = (counts * rates + 1) / (counts + 2)
    return (smoothed * (1 - smoothed) / (counts + 2)).sum(axis=0)
