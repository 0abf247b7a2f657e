"""The claim that is judged on the experiment with a flow (`experiments.inverse_flow`)."""

from collections.abc import Iterator, Sequence

import numpy as np

from experiments.reproduction.judging import Finding, Row, difference, triple

LONGEST = 1.0
"""Step as long as the distance to the nearest other digit of the label."""


def findings(source: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Yields "flow": how many more memorized digits have no confirmed label after a step, by its direction.

    Most of them have none without a step: the classifiers have not seen them.

    Args:
        source: path of inverse_flow.csv, below the results.
        rows: its rows.
    """
    lost = {
        (row["direction"], float(row["step"])): triple(row, "value")
        for row in rows
        if (row["group"], row["quantity"]) == ("memorized", "not confirmed")
    }
    for (direction, step), value in lost.items():
        if step == LONGEST:
            case = f"memorized digits, {direction} step"
            yield Finding("flow", "mnist", "flow", case, difference(value, lost[direction, 0.0]), np.nan, source)
