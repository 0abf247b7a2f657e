"""What the papers compare on the same models: attacks, populations and numbers of shadow models, pair by pair."""

from collections.abc import Iterator, Mapping

import numpy as np

from mia_tf.analysis.evaluation import Evaluation
from mia_tf.analysis.statistics import widest

Key = tuple[str, int | None, str]
"""(attack, shadow models per side or None for all, population)."""


def comparison_rows(evaluations: Mapping[Key, Evaluation], recommended: str) -> list[tuple]:
    """Rows of comparisons.csv.

    A row is one of: an attack on one group minus the same on all examples; the recommended LiRA minus another attack;
    an attack with all shadow models minus the same with few.

    Args:
        evaluations: of `evaluate` under one seed, with the same targets and pool of examples.
        recommended: the attack that the others are compared with; those with all shadow models, if it was run.
    """
    return [
        (a[0], b[0], a[2], b[2], a[1], b[1], *difference(evaluations[a], evaluations[b]))
        for a, b in _pairs(evaluations, recommended)
    ]


def difference(a: Evaluation, b: Evaluation, metric: str = "auroc") -> tuple[float, float, float]:
    """A metric of `a` minus that of `b`, with a 95% interval; all NaN if one of them is not resolved.

    The interval is paired: other targets or examples that move both alike do not move their difference. As for one
    metric, it is the wider of that over targets and that over blocks of examples. A metric that rests on few examples
    hardly moves when they are drawn again, and neither does its difference to another. The interval of such a metric is
    extended. Then the difference has at least the interval that two independent metrics with these intervals would give
    it (Zou and Donner, 2008).
    """
    value = a.metrics[metric][0] - b.metrics[metric][0]
    if np.isnan(value):
        return np.nan, np.nan, np.nan
    low, high = (float(end[0]) for end in widest((a.offsets[metric] - b.offsets[metric])[..., None]))
    if metric in a.extended | b.extended:
        (one, one_low, one_high), (other, other_low, other_high) = a.metrics[metric], b.metrics[metric]
        low = min(low, -np.hypot(one - one_low, other_high - other))
        high = max(high, np.hypot(one_high - one, other - other_low))
    return value, float(value + low), float(value + high)


def _pairs(evaluations: Mapping[Key, Evaluation], recommended: str) -> Iterator[tuple[Key, Key]]:
    """What is compared with what, the first of which is thought to be the higher."""
    for attack, size, population in evaluations:
        whole = attack, None, population
        if size is not None:
            yield whole, (attack, size, population)
            continue
        if population != "all":
            yield whole, (attack, None, "all")
        if attack != recommended and (recommended, None, population) in evaluations:
            yield (recommended, None, population), whole
