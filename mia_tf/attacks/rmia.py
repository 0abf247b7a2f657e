"""RMIA (Zarifzadeh, Liu and Shokri, 2024, "Low-cost high-power membership inference attacks").

p(x | theta) is the target's confidence in the label of x. p(x) is the confidence to expect, whether or not a model
trained on x. x is compared with examples z that are known NOT to be members of the target:
LR(x, z) = (p(x | theta) / p(x)) / (p(z | theta) / p(z)). The score is the share of z that x dominates.
"""

import numpy as np

from mia_tf.attacks.base import Attack, register
from mia_tf.shadow import signals
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.concurrency import Run, one_by_one
from mia_tf.shadow.leave_one_out import IN, OUT

MAX_POPULATION = 5000
"""Examples drawn from the pool; each target's z are those it did not train on, some 2,500."""
OFFLINE_A = 0.3
"""a in p_in = a p_out + 1 - a, the default of the authors' code (ml_privacy_meter)."""
_LEAST = 1e-300
"""Confidences this far below the surest model's count as this much: logs must be finite."""
_FEWEST = 5
"""With fewer z than this a target is not attacked."""
_ROUNDING = 1e-16
"""Log ratios that differ by less do so by rounding."""


class _Rmia(Attack):
    """The share of z with LR(x, z) >= gamma, at gamma = 1 as in the authors' code (ml_privacy_meter).

    No other gamma ranks the examples of a target in another way: the share rises with p(x | theta) / p(x). Their
    logarithms are averaged over the queries. Between two z the share is interpolated. Beyond the last z it grows with
    the distance to that one. Otherwise all examples above all z would tie, and they decide the true positive rate at
    low false positive rates.

    x itself is never among its z. p(x) and p(z) leave the target out. The target's answers on other examples count only
    through p(z | theta).
    """

    limitable = True

    def __init__(self, num_models: int, rng: np.random.Generator):
        super().__init__(num_models, rng)
        self._priorities = np.full(MAX_POPULATION, np.inf)
        self._rows = -1 - np.arange(MAX_POPULATION)  # of no example yet
        self._ratios = np.full((MAX_POPULATION, num_models), np.nan)
        self._keep = np.ones((MAX_POPULATION, num_models), bool)

    def observe(self, block: Block) -> None:
        """Draws the population: the rows with the lowest of uniform priorities, however the blocks are cut."""
        priorities = self.rng.random(len(block.keep))
        size = len(self._rows)
        lowest = np.concatenate([self._priorities, priorities]).argsort(kind="stable")[:size]
        drawn = lowest[lowest >= size] - size
        if len(drawn):
            freed = np.setdiff1d(np.arange(size), lowest)
            self._priorities[freed] = priorities[drawn]
            self._rows[freed] = block.start + drawn
            self._ratios[freed] = self._log_ratios(block, drawn)
            self._keep[freed] = block.keep[drawn]

    def fit(self, run: Run = one_by_one) -> None:
        """Sorts the log p(z | theta) / p(z) of each target's z."""
        usable = ~self._keep & ~np.isnan(self._ratios)
        of_targets = zip(self._ratios.T, usable.T, strict=True)
        populations = list(run(lambda ratios, chosen: np.sort(ratios[chosen]), of_targets))
        self._joined = np.concatenate([*populations, [np.nan]])
        self._populations = np.split(self._joined[:-1], np.cumsum(usable.sum(axis=0))[:-1])  # parts of the same array

    def score(self, block: Block) -> np.ndarray:
        ratios = self._log_ratios(block)
        _, drawn, here = np.intersect1d(self._rows, block.start + np.arange(len(ratios)), True, return_indices=True)
        ratios[here] = self._ratios[drawn]  # to the last digit what stands in the population
        own = np.zeros(ratios.shape, bool)
        own[here] = ~block.keep[here] & ~np.isnan(ratios[here])
        return _dominated_share(self._populations, self._joined, ratios, own)

    def _log_ratios(self, block: Block, rows=slice(None)) -> np.ndarray:
        """(n, M) log p(x | theta) / p(x) of these rows, mean over the queries; NaN without shadow models."""
        log_confidence = -signals.loss(block.phi[rows])
        # Relative to the surest model, so that p(x) does not underflow where all models are very wrong.
        surest = log_confidence.max(axis=2, keepdims=True)
        relative = np.maximum(np.exp(log_confidence - surest), _LEAST)
        log_confidence -= self._log_expected(block.leave_one_out(relative, rows).means, surest)
        return log_confidence.mean(axis=1)

    def _log_expected(self, means: np.ndarray, surest: np.ndarray) -> np.ndarray:
        """(n, Q, M) log p(x), from the means (2, n, Q, M) of the two sides relative to exp(surest)."""
        raise NotImplementedError


@register("rmia")
class Online(_Rmia):
    """p(x) is the mean confidence of IN and OUT models, both sides weighing the same."""

    def _log_expected(self, means: np.ndarray, surest: np.ndarray) -> np.ndarray:
        return np.log((means[IN] + means[OUT]) / 2) + surest


@register("rmia_offline")
class Offline(_Rmia):
    """p(x) is expected of the OUT models' mean confidence alone: (p_out + p_in) / 2 with p_in = a p_out + 1 - a."""

    def _log_expected(self, means: np.ndarray, surest: np.ndarray) -> np.ndarray:
        return np.log(((1 + OFFLINE_A) * means[OUT] * np.exp(surest) + (1 - OFFLINE_A)) / 2)


def _dominated_share(
    populations: list[np.ndarray], joined: np.ndarray, ratios: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Which share of a target's z each x dominates, interpolated.

    Args:
        populations: (K,) float64 of each of the M targets, the log ratios of its z, ascending.
        joined: the same in one array, which ends with NaN.
        ratios: (n, M) float64, the log ratios of x.
        own: (n, M) bool, where x itself stands in the population and must not count. Among several z of its ratio it
            does count, and a single z of the ratio of another x does not. So equal ratios have equal shares, members or
            not.

    Returns:
        (n, M) float64, strictly rising with the ratios of a target: j / K at the j-th z, 1 / K - d before the first and
        1 + d after the last. d is the distance to that z, in units of its distance to the median. NaN with fewer than
        five z.
    """
    sizes = np.array([len(population) for population in populations])[:, None]
    starts = sizes.cumsum()[:, None] - sizes
    ratios, own = np.ascontiguousarray(ratios.T), own.T  # by target, whose z are then near each other

    def at(places: np.ndarray) -> np.ndarray:
        # A target without any z takes a value of another one, and ends as NaN.
        return joined.take(starts + np.minimum(np.maximum(places, 0), sizes - 1))

    up_to = np.empty(ratios.shape, np.int64)
    for population, of_target, counts in zip(populations, ratios, up_to, strict=True):
        counts[:] = population.searchsorted(of_target, side="right")
    alike = (up_to > 0) & (at(up_to - 1) == ratios)
    several = (up_to > 1) & (at(up_to - 2) == ratios)
    own = np.where(own, ~several, alike & ~several)
    size, dominated = np.maximum(sizes - own, 1), up_to - own
    below, above = at(dominated - 1), at(dominated + own)
    first, last = dominated == 0, dominated == size
    between = (ratios - below) / np.where(first | last, 1, above - below)
    share = (dominated + between) / size
    # Beyond the first and the last z, by the distance to the median.
    median = at(sizes // 2)
    share = np.where(first, 1 / size - (above - ratios) / np.maximum(median - above, _ROUNDING), share)
    share = np.where(last, 1 + (ratios - below) / np.maximum(below - median, _ROUNDING), share)
    share[sizes[:, 0] < _FEWEST] = np.nan
    return share.T
