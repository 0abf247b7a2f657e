"""Fits the IN and the OUT shadow models of every example for every target at once, without the target.

For every (example, query) and every target model, the fit is what a refit without the target would give:
median and sum of squares of the target's own side follow from the whole side's, by rank and by subtraction.

One model of the other side, its partner, is left out too. Otherwise a target's membership would show in the NUMBER of
models left. So a member and a non-member of the same example are both judged by fits on n_in - 1 and n_out - 1 models.
Without this, LiRA with per-example variance gets AUC 0.42 on pure noise at 8 models.

The partner is drawn, never chosen by a value. Each side's models stand in a circle that begins with a drawn one. The
k-th member's partner is the k-th non-member, and a shorter side starts again from its first. So every model of the
other side is as likely to be left out. By the order of the models alone, membership would show in WHICH models are
left. On pure noise of 16 models, of which the first half answers two standard deviations above the others, LiRA with
one variance got AUC 0.55.

If every model has one that was trained on exactly the other examples, that one is the partner. It is never on the
target's side: a fit on it would show which side the target is on.
"""

from collections.abc import Callable

import numpy as np

from mia_tf.shadow.concurrency import once
from mia_tf.shadow.lineup import NONE, Lineup

IN, OUT = 0, 1
"""The two sides: models whose training set has the example, and those whose training set lacks it."""
_SEED = 0
"""Of the draw of partners, the same in every analysis: no result depends on the seed of its intervals."""
_CANCELLED = 1e-5
"""A difference of sums of squares below this fraction of them has lost too many digits; it is computed afresh."""


def drawn_starts(first: int, count: int) -> np.ndarray:
    """(count, 2) float64 in [0, 1), which model of the IN and of the OUT side is its first, as a share of the side.

    Of the examples from row `first` on, however the blocks are cut.
    """
    generator = np.random.PCG64(_SEED)
    generator.advance(2 * first)  # one step a number
    return np.random.Generator(generator).random((count, 2))


class LeaveOneOut:
    """Both sides of n examples, as fitted for each of the M models as the target.

    Fastest on few examples at a time (`Block.pieces`), whose arrays stay in the caches.

    Attributes:
        counts: (2, n) int64, models left in each fit of a side: those of the side, less one, and never below 0.
    """

    def __init__(self, values: np.ndarray, keep: np.ndarray, starts: np.ndarray, pairs: np.ndarray | None = None):
        """Takes what is fitted, who trained on what, and the draw of partners.

        Args:
            values: (n, Q, M) float64, such as phi, by example, query and model.
            keep: (n, M) bool.
            starts: (n, 2), as `drawn_starts` returns it.
            pairs: as in `Lineup`.
        """
        self._values = values
        self._keep = keep
        self._starts = starts
        self._pairs = pairs
        self._num_in = keep.sum(axis=1)
        self.counts = np.maximum(np.array([self._num_in, keep.shape[1] - self._num_in]) - 1, 0)

    @once
    def medians(self) -> np.ndarray:
        """(2, n, Q, M) float64 by side, example, query and target; NaN if no model is left."""
        return self._for_every_target(medians_without_each)

    @once
    def means(self) -> np.ndarray:
        """(2, n, Q, M) float64 by side, example, query and target; NaN as `medians`."""
        return self._for_every_target(means_without_each)

    @once
    def squares(self) -> np.ndarray:
        """(2, n, Q, M) float64, sums of squared deviations from the mean of the models left; NaN as `medians`."""
        return self._for_every_target(squares_without_each)

    def variances(self, side: int) -> np.ndarray:
        """(n, Q, M) float64 variances (ddof 0) of one side; NaN if fewer than two models are left."""
        count = self.counts[side]
        return self.squares[side] / np.where(count >= 2, count, np.nan)[:, None, None]

    @once
    def _places(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Flat indices (g, Q, n_in) and (g, Q, n_out) of members' and non-members' values, by number of members."""
        queries, models = self._values.shape[1:]
        places = []
        for count in np.unique(self._num_in):  # one, under a balanced plan
            rows = np.flatnonzero(self._num_in == count)
            to_first_query = (rows * queries - np.arange(len(rows)))[:, None, None] * models
            shift = to_first_query + np.arange(queries)[:, None] * models
            to_first_model = np.arange(len(rows))[:, None] * models
            sides = _circles(self._keep[rows], True, self._starts[rows], self._pairs)
            places.append(tuple((to_first_model + side)[:, None] + shift for side in sides))
        return places

    def _for_every_target(self, without_each: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """(2, n, Q, M) of a statistic: of the target's own side without it, of the other without its partner."""
        values = self._values.ravel()
        results = np.empty((2, values.size))
        for places in self._places:
            for result, own, other in zip(results, places, places[::-1], strict=True):
                if own.shape[2] < 2:
                    result[own] = result[other] = np.nan
                    continue
                statistic = without_each(values[own])
                result[own] = statistic
                partners = np.arange(other.shape[2]) % own.shape[2]
                result[other] = statistic.take(partners, axis=2)
        return results.reshape(2, *self._values.shape)


class LimitedLeaveOneOut(LeaveOneOut):
    """As LeaveOneOut, with K shadow models per side for every target instead of all.

    Of each example K + 1 models per side are chosen, in drawn pairs of an IN and an OUT model. A chosen target is
    judged by the other K pairs. Any other target stands in the place of one of the chosen models of its side, and is
    judged by the other K pairs too: every model is a target on every example, and which K models per side it meets
    does not depend on its membership. With all models chosen and equally many on both sides this is LeaveOneOut. If
    fewer than K + 1 are chosen on a side, the example has no fit.

    Attributes:
        counts: (2, n) int64: K, and 0 if there is no fit.
    """

    def __init__(
        self,
        values: np.ndarray,
        keep: np.ndarray,
        starts: np.ndarray,
        chosen: np.ndarray,
        pairs: np.ndarray | None = None,
    ):
        """Takes what LeaveOneOut does, and chosen (n, M) bool: K + 1 models per side or none, and pairs as wholes."""
        super().__init__(values, keep, starts, pairs)
        self._fitted = np.flatnonzero(chosen.any(axis=1))
        keep, chosen = keep[self._fitted], chosen[self._fitted]
        self._chosen = _circles(keep, chosen, starts[self._fitted], pairs)
        self.counts = np.zeros_like(self.counts)
        self.counts[:, self._fitted] = self._chosen[IN].shape[1] - 1
        positions = np.where(keep, keep.cumsum(axis=1), (~keep).cumsum(axis=1)) - 1
        self._left_out = positions % max(self._chosen[IN].shape[1], 1)
        for models in self._chosen:
            np.put_along_axis(self._left_out, models, np.arange(models.shape[1])[None], axis=1)

    def _for_every_target(self, without_each: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """(2, n, Q, M) of a statistic of the chosen models of each side, without the target's pair."""
        results = np.full((2, *self._values.shape), np.nan)
        if len(self._fitted):
            values = self._values[self._fitted]
            for result, models in zip(results, self._chosen, strict=True):
                statistic = without_each(np.take_along_axis(values, models[:, None], axis=2))
                result[self._fitted] = np.take_along_axis(statistic, self._left_out[:, None], axis=2)
        return results


class FitsOfOthers(LeaveOneOut):
    """As LeaveOneOut, for targets that are not among the shadow models; what is fitted to these is the targets'.

    If no target has a twin among the shadow models (`Lineup`), none is left out, and all targets have one fit. If there
    are twins, a target's own is left out, and its partner; a target without one stands in the place of a shadow model
    of its side, so that all fits rest on as many models. So it does if K models are chosen.

    Attributes:
        counts: (2, n) int64, models in each fit.
    """

    def __init__(
        self,
        values: np.ndarray,
        keep: np.ndarray,
        starts: np.ndarray,
        lineup: Lineup,
        chosen: np.ndarray | None = None,
    ):
        """Takes what LeaveOneOut does, the line-up, and None or chosen (n, M) bool, K + 1 models per side."""
        super().__init__(values, keep, starts)
        self._lineup = lineup
        first = lineup.first_shadow
        parts = values[..., first:], keep[:, first:], starts
        self._shadows = (
            LeaveOneOut(*parts, lineup.pairs)
            if chosen is None
            else LimitedLeaveOneOut(*parts, chosen[:, first:], lineup.pairs)
        )
        self._all = chosen is None and (lineup.twins == NONE).all()
        num_in = parts[1].sum(axis=1)
        self.counts = np.array([num_in, parts[1].shape[1] - num_in]) if self._all else self._shadows.counts

    def _for_every_target(self, without_each: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """(2, n, Q, M) of a statistic; NaN for the shadow models."""
        results = np.full((2, *self._values.shape), np.nan)
        of_targets = results[..., : self._lineup.num_targets]
        if self._all:
            keep = self._shadows._keep
            for result, side in zip(of_targets, (keep, ~keep), strict=True):
                result[:] = _of_side(self._shadows._values, side, without_each)[..., None]
        else:
            fitted = self._shadows._for_every_target(without_each)
            of_targets[:] = np.take_along_axis(fitted, self._stand_ins()[None, :, None], axis=3)
        return results

    def _stand_ins(self) -> np.ndarray:
        """(n, T) places of the shadow models whose fits the targets take: their twins, or one of their side."""
        twins, keep = self._lineup.twins, self._shadows._keep
        member = self._keep[:, : len(twins)]
        num_in = keep.sum(axis=1, keepdims=True)
        pairs = np.maximum(np.minimum(num_in, keep.shape[1] - num_in), 1)
        in_first = np.argsort(~keep, axis=1, kind="stable")
        # Counted round by the shorter side: the k-th IN and the k-th OUT model are each other's partners. Where one
        # side is empty, a target of either side takes the k-th of the other.
        inside = (num_in > 0) & (member | (num_in == keep.shape[1]))
        sizes = np.where(inside, num_in, keep.shape[1] - num_in)
        begins = (np.where(inside, *self._starts.T[..., None]) * sizes).astype(np.int64)
        ranks = (np.arange(len(twins)) % pairs + begins) % sizes + np.where(inside, 0, num_in)
        by_side = np.take_along_axis(in_first, ranks, axis=1)
        return np.where(twins == NONE, by_side, twins)


def _circles(
    keep: np.ndarray, usable: np.ndarray | bool, starts: np.ndarray, pairs: np.ndarray | None
) -> list[np.ndarray]:
    """The usable models of both sides, (n, S) and (n, S'), each in the circle that begins with the drawn one.

    With `pairs`, each OUT model stands where the IN model does whose partner it always is. Every row has as many usable
    models of a side.
    """
    sides = []
    for side, start in zip((keep, ~keep), starts.T, strict=True):
        models = np.nonzero(side & usable)[1].reshape(len(keep), -1)
        size = models.shape[1]
        begins = (start * size).astype(np.int64)[:, None]
        sides.append(np.take_along_axis(models, (begins + np.arange(size)) % max(size, 1), axis=1))
    return sides if pairs is None else [sides[IN], pairs[sides[IN]]]


def _of_side(values: np.ndarray, side: np.ndarray, without_each: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(n, Q) of a statistic of the values (n, Q, S) of one side (n, S) bool; NaN if it is empty."""
    result = np.full(values.shape[:2], np.nan)
    counts = side.sum(axis=1)
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        models = np.nonzero(side[rows])[1].reshape(len(rows), 1, count)
        samples = np.take_along_axis(values[rows], models, axis=2)
        # One more, which is then left out.
        result[rows] = without_each(np.concatenate([samples, samples[..., :1]], axis=2))[..., -1]
    return result


def medians_without_each(samples: np.ndarray) -> np.ndarray:
    """Medians of a sample with each of its values left out in turn.

    One sort: which of three values the median becomes depends on whether the value left out lies below it.

    Args:
        samples: (..., n) float64, n >= 2.

    Returns:
        (..., n) float64; entry k is of the n - 1 values besides the k-th.
    """
    middle, odd = divmod(samples.shape[-1], 2)
    ordered = np.sort(samples, axis=-1)
    if odd:
        before, pivot, after = (ordered[..., k, None] for k in (middle - 1, middle, middle + 1))
        medians = np.where(samples < pivot, (pivot + after) / 2, (before + pivot) / 2)
        np.copyto(medians, (before + after) / 2, where=samples == pivot)
        return medians
    before, after = ordered[..., middle - 1, None], ordered[..., middle, None]
    return np.where(samples <= before, after, before)


def means_without_each(samples: np.ndarray) -> np.ndarray:
    """Means of a sample with each of its values left out in turn.

    By sums from both ends: nothing is subtracted, so that no digits are lost however large the value left out.

    Args and returns: as `medians_without_each`.
    """
    sums = np.zeros(samples.shape)
    np.cumsum(samples[..., :-1], axis=-1, out=sums[..., 1:])
    sums[..., :-1] += np.cumsum(samples[..., :0:-1], axis=-1)[..., ::-1]
    return sums / (samples.shape[-1] - 1)


def squares_without_each(samples: np.ndarray) -> np.ndarray:
    """Sums of squared deviations from the mean of a sample with each of its values left out in turn.

    By subtraction from the sum about the mean of all, and afresh where that would lose digits.

    Args and returns: as `medians_without_each`.
    """
    n = samples.shape[-1]
    if n == 2:
        return np.zeros(samples.shape)
    squares = samples - samples.mean(axis=-1, keepdims=True)
    np.square(squares, out=squares)
    total = squares.sum(axis=-1, keepdims=True)
    squares *= -n / (n - 1)
    squares += total
    rows, columns = np.nonzero((squares < _CANCELLED * total).reshape(-1, n))
    if len(rows):
        left = samples.reshape(-1, n)[rows][np.arange(n) != columns[:, None]].reshape(len(rows), n - 1)
        afresh = np.square(left - left.mean(axis=-1, keepdims=True)).sum(axis=-1)
        squares.reshape(-1, n)[rows, columns] = afresh
    return squares
