"""Claims that are judged on the theory's results and on figure 4 (DP-SGD)."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from experiments.reproduction.judging import Finding, Row, difference, triple

PLACE = "mnist_svhn", "random"
MOST_NATS = 5
"""Largest loss of the adversary "cross-entropy up to 5 nats"."""
LOW = 0.1
"""Mean memorization that is low."""
_EQUATION8 = "equation 8, chosen on other models"
_LIRA = "advantage of LiRA, likelier side"
_SOFT = "advantage of LiRA, soft test (theorem 1)"
_LOW_UTILITY = 0.5
"""Test accuracy below which models have a low utility: the least that section 4.1 asks for."""


def theory_findings(
    source: str, summary: Sequence[Row], learning_source: str, learning: Sequence[Row]
) -> Iterator[Finding]:
    """Theorems 1 and 2, equation 8, corollary 1 and lemma 3.

    Args:
        source, summary: of theory/summary.csv.
        learning_source, learning: of theory/learning.csv.
    """
    values = {(row["check"], row["group"], row["quantity"]): triple(row, "value") for row in summary}
    for group in ("over", "under"):
        lira = values.get(("adversaries", group, _SOFT))
        distance = values.get(("equation 8", group, "hellinger_normal"))
        if not lira or not distance:
            continue
        yield Finding("theorem1", *PLACE, group, difference(lira, distance), np.nan, source)
        gain = values["adversaries", group, f"{_LIRA} - memorization"]
        yield Finding("theorem2", *PLACE, group, gain, np.nan, source)
        scaled = values["adversaries", group, f"advantage of cross-entropy up to {MOST_NATS} nats (lemma 3)"]
        stated = tuple(MOST_NATS * number for number in scaled)
        yield Finding(
            "lemma3", *PLACE, f"{group}, loss of 0 to {MOST_NATS} nats", stated, np.nan, source, 1, above=False
        )
    for (check, group, quantity), value in values.items():
        if check == _EQUATION8 and quantity.startswith("memorization") and group != "all":
            case = f"{group}, {quantity.split(':')[0]}"
            yield Finding("equation8", *PLACE, case, value, np.nan, source, above=False)
    ones = [row for row in learning if (row["rule"], row["models_per_side"]) == ("fixed", "1")]
    for less, more in itertools.pairwise(ones):
        value = difference(triple(more, "advantage"), triple(less, "advantage"))
        case = f"memorization {more['memorization']} minus {less['memorization']}"
        yield Finding("corollary1", *PLACE, case, value, np.nan, learning_source)


def dp_findings(
    source: str, memorization: Sequence[Row], accuracy_source: str, accuracy: Sequence[Row]
) -> Iterator[Finding]:
    """Figure 4: "dp" and "dp_utility"."""
    place = "mnist_svhn", "private - plain"
    for row in memorization:
        if row["group"] == "under" and row["minus_plain"]:
            yield Finding("dp", *place, "under, DP-SGD", triple(row, "mean"), np.nan, source, LOW, above=False)
            less = tuple(float(row[name]) for name in ("minus_plain", "minus_plain_low", "minus_plain_high"))
            yield Finding("dp", *place, "under, minus without", less, np.nan, source, above=False)
    tests = {(row["run"], row["group"]): triple(row, "mean") for row in accuracy if row["split"] == "test"}
    names = list(dict.fromkeys(run for run, _ in tests))
    for group in ("over", "under") if len(names) == 2 else ():
        private = tests[names[1], group]
        less = difference(private, tests[names[0], group])
        for case, value, limit in ((group, private, _LOW_UTILITY), (f"{group}, minus without", less, 0)):
            yield Finding("dp_utility", *place, case, value, np.nan, accuracy_source, limit, above=False)
