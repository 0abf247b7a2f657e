"""True positive rates by the protocol of LiRA's published code: each target has a threshold of its own.

Its `plot.py` attacks one model and reports `tpr[fpr < level][-1]`: the largest TPR at an FPR below the level. A target
with fewer than 1 / level non-members then allows no false positive at all. Averaged over targets, this favours
the attacker, compared with one threshold for all targets together, which `evaluation.evaluate` measures.
"""

import numpy as np

from mia_tf.analysis.statistics import CONFIDENCE, binomial_bounds, mean_interval, redraws

METRIC = "tpr_at_fpr_0.001_per_target"
LEVEL = 0.001
_EXAMPLE_REPLICATES = 200
_UNITS = 256
"""Blocks of examples that are drawn again together."""
_FEW = 20
_TARGETS = 16
_PAIRS = 1 << 19
"""Limits of what is measured together: more is no faster, and a pair takes about 50 bytes."""


def per_target_tpr(
    scores: np.ndarray, keep: np.ndarray, examples: np.ndarray, seed: int, sizes: np.ndarray | None = None
) -> tuple[tuple[float, float, float], str]:
    """Mean over targets of the largest TPR at an FPR below LEVEL.

    Args:
        scores: (N, T) float, higher = member; NaN for a pair without a score.
        keep: (N, T) bool, membership in the targets' training sets.
        examples: (N,) bool, the examples that are measured.
        seed: of the bootstrap.
        sizes: (2, N), a non-member weighs 1 / the first of its example and a member 1 / the second, as in
            `evaluation.Population`; None if all weigh alike, as in the published code.

    Returns:
        (value, ci_low, ci_high) and a note. The interval is Student's over targets or that of a bootstrap over blocks
        of examples, whichever is wider. A bootstrap of the highest non-members only ever lowers the threshold, so its
        reach counts in both directions. The interval holds Clopper-Pearson's if the members found, or those missed, are
        few examples. All NaN if no target has both members and non-members.
    """
    rows = np.flatnonzero(examples)
    unit_of_row = np.random.default_rng([seed, 0]).permutation(len(examples))[rows] % _UNITS
    rows = rows[np.argsort(unit_of_row, kind="stable")]
    units, unit_of_row = np.unique(np.sort(unit_of_row), return_inverse=True)
    # The first are the examples as they are.
    weights = np.vstack([np.ones(_UNITS), redraws(_UNITS, seed, 3)[:_EXAMPLE_REPLICATES]])[:, units]
    rates, nonmembers = [], []
    recognised_once, missed = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    together = max(1, min(_TARGETS, _PAIRS // max(1, len(rows))))
    for first in range(0, keep.shape[1], together):
        targets = slice(first, first + together)
        columns, member = np.ascontiguousarray(scores[rows, targets].T), keep[rows, targets].T
        known = ~np.isnan(columns)
        inside, outside = known & member, known & ~member
        both = inside.any(axis=1) & outside.any(axis=1)
        if not both.any():
            continue
        columns, inside, outside = columns[both], inside[both], outside[both]
        shares = None if sizes is None else 1 / np.where(member[both], sizes[1, rows], sizes[0, rows])
        of_targets, recognised = _rates(columns, inside, outside, unit_of_row, weights, shares)
        rates.append(of_targets)
        nonmembers += outside.sum(axis=1).tolist()
        recognised_once |= recognised.any(axis=0)
        missed |= (inside & ~recognised).any(axis=0)
    if not rates:
        return (np.nan, np.nan, np.nan), "no target has both members and non-members"
    rates = np.concatenate(rates, axis=1).T
    value = float(rates[:, 0].mean())
    known = ~np.isnan(rates[:, 1:])  # a draw of few examples can have no member
    drawn = np.where(known, rates[:, 1:], 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    reach = np.quantile(np.abs(drawn[known.any(axis=0)] - value), CONFIDENCE)
    _, low, high = mean_interval(rates[:, 0])
    low, high = np.fmin(low, value - reach), np.fmax(high, value + reach)
    low, high = max(float(low), 0.0), min(float(high), 1.0)
    if min(np.count_nonzero(recognised_once), np.count_nonzero(missed)) < _FEW:
        trials = np.count_nonzero(recognised_once | missed)
        least, most = binomial_bounds(value * trials, trials)
        low, high = min(low, float(least)), max(high, float(most))
    typical = int(np.median(nonmembers))
    allowed = int(np.ceil(LEVEL * typical)) - 1
    note = f"own threshold per target, {allowed} false positives of about {typical} non-members"
    return (value, low, high), note


def _rates(
    scores: np.ndarray,
    inside: np.ndarray,
    outside: np.ndarray,
    unit_of_row: np.ndarray,
    weights: np.ndarray,
    shares: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The TPR of T targets, each with members (T, n) `inside` and non-members (T, n) `outside`.

    Rows are sorted by their blocks of examples, `unit_of_row` (n,) in [0, U), of which none is empty. Pairs weigh
    `shares` (T, n), or all alike if these are None.

    Returns:
        (R, T) rates for each draw of weights (R, U) of the blocks, NaN without a member; and (T, n) bool, the members
        that are recognised by the first draw.
    """
    num_targets, num_rows = scores.shape
    # A draw leaves out a block in three: this many of the highest non-members never all have weight 0.
    allowed = LEVEL * outside.sum(axis=1)
    if shares is not None:  # the lightest first is the worst case
        lightest = np.where(outside, shares, np.inf).min(axis=1)
        allowed *= (shares * outside).sum(axis=1) / outside.sum(axis=1) / lightest
    kept = min(num_rows, int(4 * allowed.max()) + 40)
    scores = np.maximum(scores, np.finfo(scores.dtype).min)  # below all of these stands who is no non-member
    highest = np.where(outside, scores, -np.inf)
    candidates = np.argpartition(highest, num_rows - kept, axis=1)[:, num_rows - kept :]
    order = np.argsort(-np.take_along_axis(highest, candidates, axis=1), axis=1, kind="stable")
    candidates = np.take_along_axis(candidates, order, axis=1)
    of_candidates = np.take_along_axis(highest, candidates, axis=1)
    shares_of = np.take_along_axis(outside if shares is None else shares * outside, candidates, axis=1)
    false = np.cumsum(weights[:, unit_of_row[candidates]] * shares_of, axis=2)  # (R, T, kept)
    starts = np.searchsorted(unit_of_row, np.arange(weights.shape[1]))
    all_false, all_right = (
        weights @ np.add.reduceat(side if shares is None else side * shares, starts, axis=1, dtype=np.float64).T
        for side in (outside, inside)
    )
    limit = LEVEL * all_false * (1 - 1e-12)
    last = np.minimum((false < limit[..., None]).sum(axis=2), kept - 1)  # the first whose FPR reaches the level
    # A member is recognised above the k-th candidate if at most k candidates score as high as it does.
    # Most members are below all that a draw can exclude: only the others are counted by their rank.
    ranks = int(last.max()) + 1
    above = of_candidates[:, :ranks]
    high = inside & (scores > above[:, -1:])
    beaten = [
        np.searchsorted(-most, -own[its], side="right") for most, own, its in zip(above, scores, high, strict=True)
    ]
    targets, rows = np.nonzero(high)
    cells = (unit_of_row[rows] * num_targets + targets) * ranks + np.concatenate(beaten)
    by_rank = np.bincount(cells, None if shares is None else shares[high], minlength=weights.shape[1] * above.size)
    right = (weights @ by_rank.reshape(len(starts), -1)).reshape(-1, *above.shape).cumsum(axis=2)
    right = np.take_along_axis(right, last[..., None], axis=2)[..., 0]
    rates = np.divide(right, all_right, out=np.full(right.shape, np.nan), where=all_right > 0)
    excluded = of_candidates[np.arange(num_targets), last[0]]
    return rates, inside & (scores > excluded[:, None])
