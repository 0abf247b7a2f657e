"""The headline of an audit: the strongest attack, chosen on one half of the targets and measured on the other.

The highest of all attacks' measured rates is too high: among many attacks, one is the luckiest. Here the choice and the
measurement rest on different target models, so that the measured rate needs no correction.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mia_tf.analysis.evaluation import Evaluation, Population, evaluate, metric_names
from mia_tf.analysis.passes import Progress
from mia_tf.analysis.roc import Pool
from mia_tf.analysis.statistics import offset_interval
from mia_tf.records import ALL
from mia_tf.shadow.concurrency import Run, one_by_one

FEWEST_TARGETS = 4
"""With fewer target models there are no two halves to speak of, and nothing is chosen by results."""
FEWEST_ACCUSED = 10
"""A false positive rate must be that of as many non-members: below, one odd record decides what is measured."""
_WITHOUT_CHOICE = ("lira_offline_fixed", "lira_offline", "rmia_offline")
"""The attacks to report, in this order, if the recommended one has no scores and none can be chosen by results."""


def headline(
    scores: Mapping[str, np.ndarray],
    attacks: Sequence[str],
    recommended: str,
    populations: Callable[[np.ndarray], Mapping[str, Population]],
    levels: Sequence[float],
    seed: int,
    progress: Progress = lambda doing, steps, total: steps,
    run: Run = one_by_one,
) -> dict:
    """Chooses the headline's attack and measures it.

    The seed splits the targets into two halves. The attack with the highest true positive rate (TPR) on the first half
    is measured on the second; among equal rates that with the highest AUROC. The false positive rate (FPR) is
    `headline_level` of the half with fewer non-members. A single attack needs no choice, and is measured on all
    targets. With fewer than FEWEST_TARGETS targets the recommended attack is measured on all of them, whatever the
    others achieve.

    Args:
        scores: attack -> (N, T) float, higher = member; NaN for a pair without a score. It has `attacks` and
            `recommended`.
        attacks: the names to choose from.
        recommended: the LiRA variant that the number of shadow models recommends.
        populations: (k,) positions of targets -> name -> the pairs that are pooled; it has the name "all".
        levels: false positive rates, falling.
        seed: splits the targets, and draws the bootstrap.
        progress: shows how far the choice is.
        run: measures several attacks, or populations, at the same time.

    Returns:
        What JSON can hold: `attack`; `chosen` ("halves", "only" or "recommended"); `candidates`, the names chosen from;
        `num_choosing`, the number of targets that the choice rests on; `fpr`, None if no level is resolved; and
        `measured`: name of a population -> num_targets, num_members, num_nonmembers, num_examples, `metrics`,
        `reached` and `widths`. `metrics` is metric -> [value, ci_low, ci_high], None if not resolved; `reached` is
        metric of a rate -> the FPR at its threshold; `widths` is metric -> the widths of the interval over targets and
        over examples.
    """
    num_targets = scores[recommended].shape[1]
    everyone = np.arange(num_targets)
    choosing, measuring, how = everyone[:0], everyone, "only"
    if len(attacks) > 1 and num_targets >= FEWEST_TARGETS:
        measuring, choosing = np.array_split(np.random.default_rng([seed, 4]).permutation(num_targets), 2)
        how = "halves"
    elif len(attacks) > 1:
        how = "recommended"
    halves = [half for half in (choosing, measuring) if len(half)]
    pairs = [_num_nonmembers(populations(half)[ALL]) for half in halves]
    level = headline_level(min(pairs), levels)
    if how == "halves":
        pool = populations(choosing)[ALL]
        strengths = run(lambda name: _strength(scores[name][:, choosing], pool, level), [(name,) for name in attacks])
        shown = progress("choosing the headline's attack", strengths, len(attacks))
        strength = dict(zip(attacks, shown, strict=True))
        attack = max(attacks, key=strength.__getitem__)  # the first of equals
    elif how == "only":
        (attack,) = attacks
    else:
        order = [name for name in (recommended, *_WITHOUT_CHOICE, *attacks) if name in scores]
        attack = next((name for name in order if np.isfinite(scores[name]).any()), recommended)
    own = scores[attack][:, measuring]
    pools = populations(measuring)
    evaluations = run(lambda population: evaluate(own, population, seed, levels), [(pool,) for pool in pools.values()])
    described = map(_described, evaluations, pools.values())
    return {
        "attack": attack,
        "chosen": how,
        "candidates": list(attacks),
        "num_choosing": len(choosing),
        "fpr": level,
        "measured": dict(zip(pools, described, strict=True)),
    }


def headline_level(num_nonmembers: int, levels: Sequence[float]) -> float | None:
    """Returns the false positive rate (FPR) of the headline.

    It is the lowest level at which FEWEST_ACCUSED or more non-members are wrongly accused; if there is none, the
    highest level; None if the non-members do not resolve that either.

    Args:
        num_nonmembers: pairs of a record and a target that was not trained on it.
        levels: false positive rates.

    Example:
        >>> headline_level(2336, (0.1, 0.01, 0.001)), headline_level(50, (0.1, 0.01)), headline_level(5, (0.1, 0.01))
        (0.01, 0.1, None)
    """
    enough = [level for level in levels if num_nonmembers * level >= FEWEST_ACCUSED * (1 - 1e-9)]
    highest = max(levels)
    return min(enough, default=highest if num_nonmembers >= _needed(highest) else None)


def _needed(level: float) -> int:
    """Non-members that resolve a false positive rate."""
    return metric_names([level])[f"tpr_at_fpr_{level:g}"]


def _num_nonmembers(population: Population) -> int:
    return int(np.count_nonzero(population.pooled[:, None] & ~population.keep))


def _strength(scores: np.ndarray, population: Population, level: float | None) -> tuple[float, float]:
    """The TPR at a level, and the AUROC, of an attack; below any rate if it has too few scores."""
    pool = Pool(int(np.count_nonzero(population.pooled)) * scores.shape[1])
    for values, member, sizes, _, _ in population.pairs(scores):
        pool.add(values, member, sizes)
    if not pool.num_members or pool.num_nonmembers < (1 if level is None else _needed(level)):
        return -1.0, -1.0
    roc = pool.roc(np.array([0.0 if level is None else level]))
    return (0.0 if level is None else float(roc.tpr[0])), roc.auroc


def _described(evaluation: Evaluation, population: Population) -> dict:
    """An evaluation as JSON can hold it."""
    metrics = {
        name: None if np.isnan(triple[0]) else list(map(float, triple)) for name, triple in evaluation.metrics.items()
    }
    widths = {}
    for name, moves in evaluation.offsets.items():
        ends = [offset_interval(by_unit[:, None])[:, 0] for by_unit in moves]
        widths[name] = [None if np.isnan(low) else float(high - low) for low, high in ends]
    return {
        "num_targets": evaluation.num_targets,
        "num_members": evaluation.num_members,
        "num_nonmembers": evaluation.num_nonmembers,
        "num_examples": int(np.count_nonzero(population.pooled)),
        "metrics": metrics,
        "reached": {f"tpr_at_fpr_{level:g}": rate for level, rate in evaluation.reached.items()},
        "widths": widths,
    }
