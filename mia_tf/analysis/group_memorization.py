"""Memorization of whole groups of examples: means with intervals, where one example's value is mostly noise.

With 16 models, five of them without an example, its memorization has a standard error of about 0.2. The mean over
a group is known far better, and so is the difference of two runs of the same examples and subsets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mia_tf.analysis.statistics import CONFIDENCE, REPLICATES

_ROWS = 4096  # examples at a time: their replicates are all in memory
FEWEST_RECORDS = 5
"""With fewer records in a group, how these differ tells nothing of how further ones would, and no interval is given."""
RESOLVED_ERRORS = 2
"""Standard errors that a value must exceed zero by to be called above it."""


@dataclass(frozen=True)
class GroupMean:
    """Mean memorization of a group.

    Attributes:
        value: the mean over the examples that have models on both sides; NaN if no example has.
        replicates: (REPLICATES,) float64, the same for examples and models drawn again.
    """

    value: float
    replicates: np.ndarray

    def interval(self) -> tuple[float, float]:
        """Its 95% interval."""
        return _quantiles(self.replicates)

    def minus(self, other: "GroupMean") -> tuple[float, float, float]:
        """The difference and its 95% interval, of means whose replicates were drawn by equal seeds."""
        return self.value - other.value, *_quantiles(self.replicates - other.replicates)


def mean_memorization(
    correct: np.ndarray, keep: np.ndarray, masks: Mapping[Any, np.ndarray], seed: int
) -> dict[Any, GroupMean]:
    """Mean over examples of P[correct | in] - P[correct | out], with replicates of a two-way bootstrap.

    Each replicate draws the models and, independently, the examples again with replacement (the pigeonhole bootstrap
    of Owen, Annals of Applied Statistics 1(2), 2007). It counts the noise of single answers up to three times, so its
    intervals are rather too wide than too narrow.

    Args:
        correct: (N, M) bool, whether each model classifies each example correctly.
        keep: (N, M) bool, true if the example was in the model's training set.
        masks: name -> (N,) bool, the examples of each group; groups may overlap.
        seed: equal seeds draw equally for equal shapes, so that runs of equal subsets can be subtracted.

    Returns:
        name -> the group's mean.
    """
    rng = np.random.default_rng(seed)
    count, num_models = keep.shape
    model_draws = rng.multinomial(num_models, np.full(num_models, 1 / num_models), size=REPLICATES)
    weights = np.vstack([np.ones(num_models), model_draws]).astype(np.float32)  # the first is the data as they are
    total, resolved = np.zeros((2, len(masks), len(weights)))
    # An example is drawn a Poisson(1) number of times: so in a large group, and it can be drawn row by row.
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        rates, known = [], True
        for side in (keep[rows], ~keep[rows]):
            models = side.astype(np.float32) @ weights.T
            right = (side & correct[rows]).astype(np.float32) @ weights.T
            known &= models > 0
            rates.append(np.divide(right, models, out=right, where=models > 0))
        drawn = rng.poisson(1.0, known.shape).astype(np.float32)
        drawn[:, 0] = 1
        drawn *= known
        value = (rates[0] - rates[1]) * drawn
        for part, mask in enumerate(masks.values()):
            total[part] += value[mask[rows]].sum(axis=0, dtype=np.float64)
            resolved[part] += drawn[mask[rows]].sum(axis=0, dtype=np.float64)
    means = np.divide(total, resolved, out=np.full(total.shape, np.nan), where=resolved > 0)
    return {name: GroupMean(float(mean[0]), mean[1:]) for name, mean in zip(masks, means, strict=True)}


def means_with_intervals(
    correct: np.ndarray, keep: np.ndarray, masks: Mapping[Any, np.ndarray], seed: int
) -> dict[Any, list[float | None] | None]:
    """Returns each mean of `mean_memorization` and its interval as JSON holds them: [mean, low, high].

    One is None if no example has models on both sides. Both ends are None with fewer than FEWEST_RECORDS such examples.
    """
    both = keep.any(axis=1) & ~keep.all(axis=1)
    means = {}
    for name, mean in mean_memorization(correct, keep, masks, seed).items():
        enough = np.count_nonzero(both & masks[name]) >= FEWEST_RECORDS
        ends = mean.interval() if enough else (None, None)
        means[name] = None if np.isnan(mean.value) else [mean.value, *ends]
    return means


def spread(memorization: np.ndarray, errors: np.ndarray) -> Mapping[str, float]:
    """How the estimates of a group spread, and how much of that is noise.

    Args:
        memorization, errors: (n,) float64 estimates and standard errors of `memorization.memorization`; NaN if
            there is none.

    Returns:
        n, median, q05 and q95 (quantiles), std, standard_error (root mean square: a std not above it shows no
        difference between examples), share_above_0 (share of examples more than RESOLVED_ERRORS standard errors above
        zero).
    """
    known = np.isfinite(memorization)
    memorization, errors = memorization[known], errors[known]
    if not len(memorization):
        return {"n": 0} | dict.fromkeys(("median", "q05", "q95", "std", "standard_error", "share_above_0"), np.nan)
    low, median, high = np.quantile(memorization, [0.05, 0.5, 0.95])
    return {
        "n": len(memorization),
        "median": median,
        "q05": low,
        "q95": high,
        "std": memorization.std(),
        "standard_error": np.sqrt(np.mean(errors**2)),
        "share_above_0": np.mean(memorization > RESOLVED_ERRORS * errors),
    }


def _quantiles(replicates: np.ndarray) -> tuple[float, float]:
    """Both ends of the 95% interval; NaN if nothing is resolved."""
    finite = replicates[np.isfinite(replicates)]
    if not len(finite):
        return np.nan, np.nan
    tail = (1 - CONFIDENCE) / 2
    return tuple(np.quantile(finite, [tail, 1 - tail]).tolist())
