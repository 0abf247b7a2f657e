"""Which examples leave the mixture in the privacy onion experiment, by the memorization of an earlier run."""

from pathlib import Path

import numpy as np

from mia_tf.data import earlier_run
from mia_tf.files import replacing

SHARE = 0.1
"""Of all examples, how many leave."""


def removed(memorization: np.ndarray, groups: np.ndarray, selection: str, rng: np.random.Generator) -> np.ndarray:
    """Rows of the examples that leave.

    Args:
        memorization: (N,) float; NaN is never among the most memorized.
        groups: (N,) group ids, or names.
        selection: "onion" for the most memorized tenth, "control" for as many random examples of each group.
        rng: draws the control.

    Returns:
        (round(N * SHARE),) int64 rows, rising.
    """
    order = np.argsort(-np.nan_to_num(memorization, nan=-2.0), kind="stable")
    most = order[: round(SHARE * len(order))]
    if selection == "onion":
        return np.sort(most)
    drawn = [
        rng.choice(np.flatnonzero(groups == group), np.count_nonzero(groups[most] == group), replace=False)
        for group in np.unique(groups)
    ]
    return np.sort(np.concatenate(drawn))


def write_ids(logdir: Path, selection: str, path: Path) -> None:
    """Writes the ids of the examples that leave, one per line, by the analysis of LOGDIR."""
    earlier = earlier_run.read(logdir)
    ids = earlier.example_ids[removed(earlier.memorization, earlier.under, selection, np.random.default_rng(0))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(ids) + "\n")
