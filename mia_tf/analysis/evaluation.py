"""How well one attack does on one population of examples, over all targets pooled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mia_tf.analysis import per_target
from mia_tf.analysis.roc import Pool
from mia_tf.analysis.score_order import descending_keys, num_below
from mia_tf.analysis.statistics import binomial_bounds, bootstrap_offsets, redraws, widest

FPR_LEVELS = (0.1, 0.01, 0.001, 0.0001)
_EXAMPLE_BLOCKS = 256
_FEW = 20
_CURVE_POINTS = 300

_PAIRS = 1 << 18
"""Pairs handled at a time."""
_UNRESOLVED = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Evaluation:
    """One attack on one population.

    Attributes:
        metrics: metric -> (value, ci_low, ci_high), all NaN if it cannot be resolved.
        notes: metric -> what a reader must know, or "".
        curve: (K, 2) float64, points (FPR, TPR) of the exact ROC, thinned.
        thresholds: FPR level -> the score at or above which "member" is said at that level.
        reached: FPR level -> the FPR of that threshold, which is lower if scores are equal.
        num_targets, num_members, num_nonmembers: how many were pooled.
        offsets: metric -> (2, REPLICATES) float64, how far it moves when targets, and when examples, are drawn again:
            the same draws for every attack and population of the same targets and pool under the same seed. Empty if
            nothing was pooled; `per_target.METRIC` has none.
        extended: the metrics whose interval was extended because they rest on few examples.
    """

    metrics: dict[str, tuple[float, float, float]]
    notes: dict[str, str]
    curve: np.ndarray
    thresholds: dict[float, float]
    reached: dict[float, float]
    num_targets: int
    num_members: int
    num_nonmembers: int
    offsets: dict[str, np.ndarray]
    extended: frozenset[str]


@dataclass(frozen=True)
class Population:
    """Which (example, target) pairs are pooled, and what they weigh.

    An example that m of all M models trained on gives more members than non-members if m is large. Its scores also have
    another distribution, because its fits rest on other numbers of models. If m differs between examples (a Bernoulli
    plan), a member therefore weighs 1/m and a non-member 1/(M - m): every example counts equally on both sides. An
    example that no model or every model trained on has only one side, and is left out.

    Attributes:
        examples: (N,) bool.
        keep: (N, T) bool, membership in the training sets of the T targets.
        num_in: (N,) integers, m; None if memberships of the targets were drawn independently of the shadow
            models', so that all examples and pairs count alike.
        num_models: M.
    """

    examples: np.ndarray
    keep: np.ndarray
    num_in: np.ndarray | None
    num_models: int

    @property
    def pooled(self) -> np.ndarray:
        """(N,) bool, the examples that have both members and non-members."""
        if self.num_in is None:
            return self.examples
        return self.examples & (self.num_in > 0) & (self.num_in < self.num_models)

    @property
    def sizes(self) -> np.ndarray | None:
        """(2, N) integers: a non-member weighs 1 / the first of its example, a member 1 / the second; None if alike."""
        if self.num_in is None or len(np.unique(self.num_in[self.pooled])) <= 1:
            return None
        return np.array([self.num_models - self.num_in, self.num_in])

    def pairs(
        self, scores: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]]:
        """Scores, memberships, sizes, rows and targets of each block's pairs.

        A pair weighs 1 / size; sizes are None if all weigh alike.
        """
        pooled, sizes_of = self.pooled, self.sizes
        for start, part in score_blocks(scores):
            rows, targets = np.nonzero(pooled[start : start + len(part), None] & ~np.isnan(part))
            chosen = part[rows, targets]
            rows += start
            member = self.keep[rows, targets]
            sizes = None if sizes_of is None else sizes_of[member.astype(np.int64), rows]
            yield chosen, member, sizes, rows, targets


def score_blocks(scores: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(row of the first example, (n, T) scores) of consecutive blocks of scores (N, T), which may be on the disk."""
    rows = max(1, _PAIRS // scores.shape[1])
    for start in range(0, len(scores), rows):
        yield start, np.array(scores[start : start + rows])


def metric_names(levels: Sequence[float]) -> dict[str, int]:
    """Metric -> non-members needed to resolve it, for FPR levels."""
    return {"auroc": 1, "advantage": 1, **{f"tpr_at_fpr_{level:g}": int(np.ceil(1 / level - 1e-9)) for level in levels}}


def evaluate(scores: np.ndarray, population: Population, seed: int, levels: Sequence[float] = FPR_LEVELS) -> Evaluation:
    """Pools an attack's scores over targets and examples, and measures them.

    Args:
        scores: (N, T) float, higher = member; NaN for a pair without a score.
        population: which pairs are pooled.
        seed: of the bootstrap.
        levels: false positive rates, falling. With per_target.LEVEL among them, `per_target` is measured too.

    Intervals are of a bootstrap over targets and of one over random blocks of examples, whichever is wider.

    A true positive rate of 0 or 1, or one that rests on a few examples, hardly changes when units are drawn again. Its
    bootstrap interval is far too narrow: [0, 0] if no member is found. The interval is therefore extended if the found
    members, or the missed ones, lie in fewer than _FEW blocks of examples. It then holds Clopper-Pearson's interval for
    the same rate, with one trial per example. An example is pooled once per target, but these pairs agree much: an
    attack finds the same odd examples in model after model. So an example counts as one trial, as if all its members
    were found or none. So are the intervals of the AUROC and the advantage if what the AUROC lacks to 1 comes from so
    few blocks: if all are told apart, it is 1 whatever is drawn again.
    """
    num_targets = population.keep.shape[1]
    pool = Pool(int(np.count_nonzero(population.pooled)) * num_targets)
    scored = np.zeros(len(population.examples), bool)
    for part, member, sizes, rows, _ in population.pairs(scores):
        pool.add(part, member, sizes)
        scored[rows] = True
    needs = metric_names(levels)
    counts = num_targets, pool.num_members, pool.num_nonmembers
    one_sided = int(np.count_nonzero(population.examples & ~population.pooled))
    missing = int(np.count_nonzero(population.pooled & ~scored))
    shortages = {"left out: all models or none were trained on them": one_sided, "not scored: too few models": missing}
    shortage = "; ".join(f"{count} examples {what}" for what, count in shortages.items() if count)
    if not (pool.num_members and pool.num_nonmembers):
        names = [*needs, *([per_target.METRIC] if per_target.LEVEL in levels else [])]
        notes = dict.fromkeys(names, shortage or "members or non-members are missing")
        unresolved = dict.fromkeys(names, _UNRESOLVED)
        return Evaluation(unresolved, notes, np.empty((0, 2)), {}, {}, *counts, {}, frozenset())

    finest = 1 / pool.num_nonmembers
    grid = np.union1d(np.geomspace(finest, 1, _CURVE_POINTS), [0, *np.linspace(0.02, 1, 50), *levels])
    roc = pool.roc(grid)
    del pool  # a gigabyte at full size
    columns = [grid.tolist().index(level) for level in levels]
    values = np.array([roc.auroc, roc.advantage, *roc.tpr[columns]])
    offsets, few = _bootstrap(population, scores, levels, roc.threshold, roc.threshold[columns], seed)
    low, high = widest(offsets)
    low, high = np.maximum(values + low, 0), np.minimum(values + high, 1)
    trials = min(int(np.count_nonzero(scored)), counts[1])
    least, most = binomial_bounds(values * trials, trials)
    low, high = np.where(few, np.fmin(low, least), low), np.where(few, np.fmax(high, most), high)
    metrics, notes = {}, {}
    for (metric, needed), *triple in zip(needs.items(), *(x.tolist() for x in (values, low, high)), strict=True):
        resolved = counts[2] >= needed
        unresolved = "" if resolved else f"unresolved: {counts[2]} non-members, {needed} needed"
        metrics[metric] = tuple(triple) if resolved else _UNRESOLVED
        notes[metric] = "; ".join(filter(None, (unresolved, shortage)))
    if per_target.LEVEL in levels:
        metrics[per_target.METRIC], note = per_target.per_target_tpr(
            scores, population.keep, population.pooled, seed, population.sizes
        )
        notes[per_target.METRIC] = "; ".join(filter(None, (note, shortage)))
    moves = dict(zip(needs, np.moveaxis(offsets, 2, 0), strict=True))
    thresholds = dict(zip(levels, roc.threshold[columns].tolist(), strict=True))
    reached = dict(zip(levels, roc.fpr[columns].tolist(), strict=True))
    curve = np.unique(np.column_stack([roc.fpr, roc.tpr]), axis=0)
    extended = frozenset(name for name, is_few in zip(needs, few.tolist(), strict=True) if is_few)
    return Evaluation(metrics, notes, curve, thresholds, reached, *counts, moves, extended)


def _bootstrap(
    population: Population,
    scores: np.ndarray,
    levels: Sequence[float],
    edges: np.ndarray,
    thresholds: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws targets, then blocks of examples again, from scores binned at edges.

    Blocks are of the whole pool, whichever of its examples the population has: what is drawn depends on the seed and
    on the numbers of targets and examples only.

    Returns:
        (2, REPLICATES, metrics) offsets, and bool by metric: too few blocks of examples make it up for a bootstrap to
        see how it varies. A rate is taken at its one of the thresholds.
    """
    keys_of_edges = np.unique(descending_keys(edges[np.isfinite(edges)]))
    num_examples = len(population.examples)
    num_units = min(_EXAMPLE_BLOCKS, num_examples)
    unit_of_row = np.random.default_rng([seed, 0]).permutation(num_examples) % num_units
    weights = [np.zeros((2, units, len(keys_of_edges))) for units in (population.keep.shape[1], num_units)]
    for part, member, sizes, rows, targets in population.pairs(scores):
        bins = num_below(descending_keys(part), keys_of_edges)
        for table, units in zip(weights, (targets, unit_of_row[rows]), strict=True):
            cells = np.ravel_multi_index((member.astype(np.int64), units, bins), table.shape)
            weight = None if sizes is None else 1 / sizes
            table += np.bincount(cells, weight, minlength=table.size).reshape(table.shape)
    offsets = np.array(
        [
            bootstrap_offsets(member, other, tuple(levels), redraws(len(member), seed, draw))
            for draw, (other, member) in enumerate(weights, 1)
        ]
    )
    nonmembers, members = weights[1]
    few = [_lacks_by_few(members, nonmembers)] * 2  # AUROC and advantage
    for cut in np.searchsorted(keys_of_edges, descending_keys(thresholds), side="right"):
        sides = members[:, :cut], members[:, cut:]
        few.append(any(np.count_nonzero(side.any(axis=1)) < _FEW for side in sides))
    return offsets, np.array(few)


def _lacks_by_few(members: np.ndarray, nonmembers: np.ndarray) -> bool:
    """Whether what an AUROC lacks to 1 comes from few units on one side, of weights (units, ranges), highest first.

    Units count by their shares: as many equal ones would have the same sum of squares.
    """
    of_members, of_nonmembers = members.sum(axis=0), nonmembers.sum(axis=0)
    above = np.cumsum(of_nonmembers) - of_nonmembers / 2
    below = of_members.sum() - np.cumsum(of_members) + of_members / 2
    return any(part.sum() ** 2 <= _FEW * (part @ part) for part in (members @ above, nonmembers @ below))
