"""True positive rates by the protocol of LiRA's published code: each target has a threshold of its own.

Its `plot.py` attacks one model and reports `tpr[fpr < level][-1]`: the largest TPR at an FPR below the level. A target
with fewer than 1 / level non-members then allows no false positive at all. Averaged over targets, this is more
optimistic than one threshold for all targets together, which `evaluation.evaluate` measures.
"""

import numpy as np

from mia_tf.analysis.statistics import CONFIDENCE, binomial_bounds, mean_interval, redraws

METRIC = "tpr_at_fpr_0.001_per_target"
LEVEL = 0.001
_EXAMPLE_REPLICATES = 200
_UNITS = 256
"""Blocks of examples that are drawn again together."""
_FEW = 20
_TARGETS = 64
"""Targets whose scores are copied at a time."""


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
    # The first are the examples as they are.
    weights = np.vstack([np.ones(_UNITS), redraws(_UNITS, seed, 3)[:_EXAMPLE_REPLICATES]])
    rates, nonmembers = [], []
    recognised_once, missed = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for first in range(0, keep.shape[1], _TARGETS):
        targets = slice(first, first + _TARGETS)
        for column, member in zip(scores[rows, targets].T, keep[rows, targets].T, strict=True):
            known = ~np.isnan(column)
            inside, outside = known & member, known & ~member
            if not (inside.any() and outside.any()):
                continue
            shares = None if sizes is None else 1 / np.where(member, sizes[1, rows], sizes[0, rows])
            rates.append(_rates(column, inside, outside, unit_of_row, weights, shares))
            nonmembers.append(np.count_nonzero(outside))
            recognised = inside & (column > _excluded(column[outside], None if shares is None else shares[outside]))
            recognised_once |= recognised
            missed |= inside & ~recognised
    if not rates:
        return (np.nan, np.nan, np.nan), "no target has both members and non-members"
    rates = np.array(rates)
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


def _excluded(nonmembers: np.ndarray, shares: np.ndarray | None) -> float:
    """The score that must be exceeded: counting its non-members too, the FPR is no longer below LEVEL."""
    if shares is None:
        allowed = int(np.ceil(LEVEL * len(nonmembers) * (1 - 1e-12))) - 1
        return float(np.partition(nonmembers, len(nonmembers) - 1 - allowed)[len(nonmembers) - 1 - allowed])
    highest_first = np.argsort(-nonmembers)
    false = np.cumsum(shares[highest_first])
    return float(nonmembers[highest_first][np.searchsorted(false, LEVEL * false[-1] * (1 - 1e-12))])


def _rates(
    scores: np.ndarray,
    inside: np.ndarray,
    outside: np.ndarray,
    unit_of_row: np.ndarray,
    weights: np.ndarray,
    shares: np.ndarray | None,
) -> np.ndarray:
    """(R,) the TPR of one target, for each draw of weights (R, _UNITS) of blocks of examples; NaN without a member.

    Pairs weigh `shares` (n,) as well, or all alike if these are None.
    """
    # A draw leaves out a block in three: this many of the highest non-members never all have weight 0.
    allowed = LEVEL * np.count_nonzero(outside)
    if shares is not None:  # the lightest first is the worst case
        allowed *= shares[outside].mean() / shares[outside].min()
    kept = min(np.count_nonzero(outside), int(4 * allowed) + 40)
    candidates = np.flatnonzero(outside)
    candidates = candidates[np.argpartition(-scores[candidates], kept - 1)[:kept]]
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
    drawn = weights[:, unit_of_row[candidates]]
    if shares is not None:
        drawn = drawn * shares[candidates]
    false = np.cumsum(drawn, axis=1)
    all_false, all_right = (
        weights @ np.bincount(unit_of_row[side], None if shares is None else shares[side], minlength=_UNITS)
        for side in (outside, inside)
    )
    limit = LEVEL * all_false * (1 - 1e-12)
    last = np.minimum((false < limit[:, None]).sum(axis=1), kept - 1)  # the first whose FPR reaches the level
    # A member is recognised above the k-th candidate if at most k candidates score as high as it does.
    beaten = np.searchsorted(-scores[candidates], -scores[inside], side="right")
    # Most members are below all that a draw can exclude: only the others are counted by their rank.
    ranks = int(last.max()) + 1
    high = beaten < ranks
    cells = unit_of_row[inside][high] * ranks + beaten[high]
    by_rank = np.bincount(cells, None if shares is None else shares[inside][high], minlength=_UNITS * ranks)
    right = (weights @ by_rank.reshape(_UNITS, ranks)).cumsum(axis=1)[np.arange(len(weights)), last]
    return np.divide(right, all_right, out=np.full(len(weights), np.nan), where=all_right > 0)
