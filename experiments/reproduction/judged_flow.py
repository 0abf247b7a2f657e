"""The claim that is judged on the experiment with a flow (`experiments.inverse_flow`)."""

from collections.abc import Iterator, Sequence

import numpy as np

from experiments.reproduction.judging import Finding, Row, triple

LONGEST = 1.0
"""Step as long as the distance to the nearest other digit of the label."""
MOST_LOST = 0.05
"""Share of digits without a confirmed label up to which labels can be ascertained."""


def findings(source: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Yields "flow": memorized digits, by the direction of the step.

    Args:
        source: path of inverse_flow.csv, below the results.
        rows: its rows.
    """
    for row in rows:
        if (row["group"], row["quantity"]) == ("memorized", "not confirmed") and float(row["step"]) == LONGEST:
            case = f"memorized digits, {row['direction']} step"
            yield Finding("flow", "mnist", "flow", case, triple(row, "value"), np.nan, source, MOST_LOST)
