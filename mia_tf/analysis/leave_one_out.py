"""Fits the IN and the OUT shadow models of every example for every target at once, the target left out.

For every (example, query) and every target model, the fit is what a refit without the target would give:
median and sum of squares of the target's own side follow from the whole side's, by rank and by subtraction.

So that a target's membership cannot show in the NUMBER of models left, one model of the other side is left
out too, its partner: a member and a non-member of the same example are both judged by fits on n_in - 1 and
n_out - 1 models. Without this, LiRA with per-example variance gets AUC 0.42 on pure noise at 8 models.
The partner is chosen by position alone (the k-th member's partner is the k-th non-member, round and round
on the shorter side), never by a value.
"""

from dataclasses import dataclass

import numpy as np

_PIECE = 1 << 14
"""Values fitted at a time: the dozen arrays of a piece then stay in a core's second-level cache."""
_CANCELLED = 1e-5
"""A difference of sums of squares below this fraction of them has lost too many digits; it is computed afresh."""


@dataclass(frozen=True)
class Side:
    """The shadow models of one side, IN or OUT, as fitted for every target.

    Attributes:
        median: (n, Q, M) float64, by example, query and target; NaN where no model is left.
        squares: (n, Q, M) float64, sum of squared deviations from the mean of the models left.
        count: (n,) int64, models left in each of an example's fits: those of the side, less one.
    """

    median: np.ndarray
    squares: np.ndarray
    count: np.ndarray

    def variance(self) -> np.ndarray:
        """(n, Q, M) float64 variance (ddof 0); NaN where fewer than two models are left."""
        count = np.where(self.count >= 2, self.count, np.nan)
        return self.squares / count[:, None, None]


def fit_sides(values: np.ndarray, keep: np.ndarray) -> tuple[Side, Side]:
    """Fits both sides of every example for every target.

    Args:
        values: (n, Q, M) float64, a value (such as phi) of each example, query and model.
        keep: (n, M) bool, true where the example was in the model's training set.

    Returns:
        The IN side and the OUT side.
    """
    n_in = keep.sum(axis=1)
    sides = tuple(
        Side(np.empty(values.shape), np.empty(values.shape), np.maximum(count - 1, 0))
        for count in (n_in, keep.shape[1] - n_in)
    )
    rows_at_once = max(1, _PIECE // (values.shape[1] * values.shape[2]))
    for start in range(0, len(values), rows_at_once):
        counts = n_in[start : start + rows_at_once]
        for count in np.unique(counts):
            # Under a balanced plan all counts are equal; else the examples of each count are fitted together.
            same = counts == count
            rows = slice(start, start + len(counts)) if same.all() else start + np.flatnonzero(same)
            for side, (median, squares) in zip(sides, _fit_rows(values[rows], keep[rows]), strict=True):
                side.median[rows] = median
                side.squares[rows] = squares
    return sides


def _fit_rows(values: np.ndarray, keep: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Median and sum of squares of the IN and the OUT side, of examples with equally many members."""
    offsets = np.arange(0, values.size, values.shape[2]).reshape(*values.shape[:2], 1)
    places = [offsets + np.nonzero(mask)[1].reshape(len(keep), 1, -1) for mask in (keep, ~keep)]
    fits = []
    for own, other in (places, places[::-1]):
        without_own = leave_each_out(values.ravel()[own])
        partners = np.arange(other.shape[2]) % max(1, own.shape[2])
        fit = []
        for statistic in without_own:
            by_target = np.empty(values.size)
            by_target[own] = statistic
            by_target[other] = statistic[..., partners] if own.shape[2] else np.nan
            fit.append(by_target.reshape(values.shape))
        fits.append(tuple(fit))
    return fits


def leave_each_out(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and sum of squared deviations from the mean of a sample, with each of its values left out in turn.

    Args:
        samples: (..., n) float64.

    Returns:
        Two (..., n) float64 arrays: entry k is of the n - 1 values besides the k-th. With none left the
        median is NaN and the sum 0.
    """
    n = samples.shape[-1]
    if n < 2:
        return np.full(samples.shape, np.nan), np.zeros(samples.shape)
    return _medians(samples), _squares(samples)


def _medians(samples: np.ndarray) -> np.ndarray:
    """One sort: which of three values the median becomes depends on whether the value left out lies below it."""
    middle, odd = divmod(samples.shape[-1], 2)
    ordered = np.sort(samples, axis=-1)
    if odd:
        before, pivot, after = (ordered[..., k, None] for k in (middle - 1, middle, middle + 1))
        medians = np.where(samples < pivot, (pivot + after) / 2, (before + pivot) / 2)
        np.copyto(medians, (before + after) / 2, where=samples == pivot)
        return medians
    before, after = ordered[..., middle - 1, None], ordered[..., middle, None]
    return np.where(samples <= before, after, before)


def _squares(samples: np.ndarray) -> np.ndarray:
    """Subtraction from the sum of squares about the mean of all."""
    n = samples.shape[-1]
    squares = samples - samples.mean(axis=-1, keepdims=True)
    np.square(squares, out=squares)
    total = squares.sum(axis=-1, keepdims=True)
    squares *= -n / (n - 1)
    squares += total
    if n == 2:
        squares[...] = 0
    lost = np.nonzero(squares < _CANCELLED * total)
    if n > 2 and len(lost[0]):
        rows = samples[lost[:-1]]
        left = np.ones(rows.shape, bool)
        left[np.arange(len(rows)), lost[-1]] = False
        rows = rows[left].reshape(len(rows), n - 1)
        squares[lost] = np.square(rows - rows.mean(axis=-1, keepdims=True)).sum(axis=-1)
    return squares
