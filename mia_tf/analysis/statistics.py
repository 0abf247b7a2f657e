"""Intervals for what is measured over models and examples."""

import functools

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri, stdtr, stdtrit

REPLICATES = 1000
CONFIDENCE = 0.95


def spearman(x: np.ndarray, y: np.ndarray) -> tuple[float, float, int]:
    """Spearman's rank correlation of the pairs without NaN, its two-sided p-value and the number of pairs.

    The first two are NaN with fewer than three pairs or where x or y does not vary. The p-value is that of Student's t
    with two degrees of freedom less than pairs, as in `scipy.stats.spearmanr`, which takes half a second to import.
    """
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan, np.nan, len(x)
    correlation = float(np.clip(np.corrcoef(_ranks(x), _ranks(y))[0, 1], -1, 1))
    with np.errstate(divide="ignore"):
        t = np.float64(correlation) * np.sqrt((len(x) - 2) / np.float64((1 - correlation) * (1 + correlation)))
    return correlation, float(2 * stdtr(len(x) - 2, -abs(t))), len(x)


def _ranks(values: np.ndarray) -> np.ndarray:
    """(k,) float64, the rank of each value, 1 for the smallest; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - 0.5 * (counts - 1))[which]


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of values (k,) and its 95% interval by Student's t; the interval is NaN for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, np.nan, np.nan
    reach = stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2) * np.std(values, ddof=1) / np.sqrt(len(values))
    return mean, float(mean - reach), float(mean + reach)


def binomial_bounds(
    successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Clopper-Pearson's interval for a probability: each end misses it at most (1 - confidence) / 2 of the time.

    Args:
        successes: in [0, trials]; need not be whole, as where a rate is taken for that of fewer trials.
        trials: above 0.
        confidence: of both ends together.
    """
    successes, trials = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    tail, failures = (1 - confidence) / 2, trials - successes
    low = np.where(successes > 0, betaincinv(np.where(successes > 0, successes, 1), failures + 1, tail), 0.0)
    high = np.where(failures > 0, betaincinv(successes + 1, np.where(failures > 0, failures, 1), 1 - tail), 1.0)
    return low, high


def binned_metrics(members: np.ndarray, nonmembers: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Metrics of ROCs given as weights of members and non-members between thresholds.

    Args:
        members, nonmembers: (R, B) float64 weights of each of B ranges of scores, highest scores first.
        levels: false positive rates.

    Returns:
        (R, 2 + len(levels)) float64: AUROC, advantage, and TPR at each level, linear within a range. NaN
        where a ROC has no members or no non-members.
    """
    return _cumulated_metrics(_cumulated(members), _cumulated(nonmembers), levels)


def _cumulated(weights: np.ndarray) -> np.ndarray:
    """(U, 1 + B) weights of the first 0 to B ranges."""
    return np.cumsum(np.pad(weights, ((0, 0), (1, 0))), axis=1)


def _cumulated_metrics(tp: np.ndarray, fp: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """`binned_metrics` of (R, 1 + B) weights above each threshold, of which the last is all; both are spoilt."""
    with np.errstate(invalid="ignore"):
        tp /= tp[:, -1:].copy()
        fp /= fp[:, -1:].copy()
    # The trapezoids' sum, without arrays of differences.
    columns = [(1 + np.einsum("rb,rb->r", fp[:, 1:], tp[:, :-1]) - np.einsum("rb,rb->r", fp[:, :-1], tp[:, 1:])) / 2]
    rows = np.arange(len(fp))
    between = []
    for level in levels:
        # From the last point that does not exceed the level, so that vertical steps count as in the exact ROC.
        after = np.minimum(_first_above(fp, level), fp.shape[1] - 1)
        left, right = fp[rows, after - 1], fp[rows, after]
        share = np.divide(level - left, right - left, out=np.zeros(len(rows)), where=right > left)
        between.append(tp[rows, after - 1] + share * (tp[rows, after] - tp[rows, after - 1]))
    tp -= fp
    return np.column_stack([*columns, tp.max(axis=1), *between])


def _first_above(rising: np.ndarray, level: float) -> np.ndarray:
    """(R,) the first column of each row of (R, B) that exceeds a level, by bisection; B if none does."""
    rows, low, high = np.arange(len(rising)), np.zeros(len(rising), np.int64), np.full(len(rising), rising.shape[1])
    for _ in range(rising.shape[1].bit_length()):
        middle = (low + high) // 2
        beyond = (low < high) & ~(rising[rows, np.minimum(middle, rising.shape[1] - 1)] <= level)
        low, high = np.where(beyond | (low >= high), low, middle + 1), np.where(beyond, middle, high)
    return low


@functools.lru_cache(maxsize=4)
def redraws(units: int, seed: int, stream: int) -> np.ndarray:
    """(REPLICATES, units) float64: how often each unit is drawn when all are drawn again, with replacement."""
    rng = np.random.default_rng([seed, stream])
    draws = rng.multinomial(units, np.full(units, 1 / units), size=REPLICATES).astype(np.float64)
    draws.flags.writeable = False  # everybody has the same ones
    return draws


def _widening(units: int) -> float:
    """What a bootstrap's offsets from few units lack.

    Their variance is (U - 1) / U of what it should be with U units. And the normal quantile is to be Student's.
    """
    return float(np.sqrt(units / (units - 1)) * stdtrit(units - 1, (1 + CONFIDENCE) / 2) / ndtri((1 + CONFIDENCE) / 2))


def bootstrap_offsets(
    members: np.ndarray, nonmembers: np.ndarray, levels: tuple[float, ...], draws: np.ndarray
) -> np.ndarray:
    """How far `binned_metrics` of pooled units moves when the units are drawn again, with replacement.

    Args:
        members, nonmembers: (U, B) float64 weights by unit (a target model, or a block of examples) and range.
        levels: false positive rates.
        draws: (REPLICATES, U) how often each unit is drawn, as `redraws` returns it.

    Returns:
        (REPLICATES, 2 + len(levels)) float64, each replicate minus the metrics of all units together, and that times
        what few units ask for. NaN for a single unit, and where a replicate has no members or no non-members.
    """
    if len(members) < 2:
        return np.full((REPLICATES, 2 + len(levels)), np.nan)
    tp, fp = _cumulated(members), _cumulated(nonmembers)
    together = _cumulated_metrics(tp.sum(axis=0)[None], fp.sum(axis=0)[None], levels)
    return (_cumulated_metrics(draws @ tp, draws @ fp, levels) - together) * _widening(len(members))


def offset_interval(offsets: np.ndarray) -> np.ndarray:
    """(2, K) the 2.5% and the 97.5% quantile of the replicates (REPLICATES, K); NaN if it is missing."""
    tail = (1 - CONFIDENCE) / 2
    ends = np.full((2, offsets.shape[1]), np.nan)
    known = ~np.isnan(offsets).all(axis=0)  # NumPy warns of the others, and threads share filters of warnings
    ends[:, known] = np.nanquantile(offsets[:, known], [tail, 1 - tail], axis=0)
    return ends


def widest(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends (K,) of the widest interval of replicates (S, REPLICATES, K) that S kinds of units were drawn for.

    Zero lies inside: drawing again adds noise, which lifts every replicate of a maximum such as the advantage.
    """
    ends = np.array([offset_interval(of_units) for of_units in offsets])
    widths = ends[:, 1] - ends[:, 0]
    wider = np.argmax(np.where(np.isnan(widths), -1, widths), axis=0)
    low, high = (ends[wider, end, np.arange(ends.shape[2])] for end in (0, 1))
    return np.minimum(low, 0), np.maximum(high, 0)
