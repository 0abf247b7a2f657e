"""Which pairs of examples and targets an attack is measured on, and what they weigh."""

from collections.abc import Mapping

import numpy as np

from mia_tf.analysis.evaluation import Population
from mia_tf.shadow.lineup import NONE, Lineup


def populations(
    lineup: Lineup, keep: np.ndarray, members: np.ndarray, masks: Mapping[str, np.ndarray]
) -> dict[str, Population]:
    """Name -> the pairs of examples and targets that are pooled."""
    sides = sides_of(lineup, keep, members)
    return {name: Population(mask, members, *sides) for name, mask in masks.items()}


def sides_of(lineup: Lineup, keep: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray | None, int]:
    """What `Population` weighs pairs by: of how many models each example is IN, and how many models these are.

    Args:
        lineup: who is attacked.
        keep: (N, M) bool, membership in the training sets of all models.
        targets: (N, T) bool, membership in the training sets of the attacked models.
    """
    alone = lineup.twins == NONE
    if alone.all():
        return None, lineup.num_targets
    if alone.any():
        # In a balanced plan the memberships of targets without a twin go with the number of shadow models left, so
        # that each example must weigh the same on both sides whichever targets are attacked.
        return targets.sum(axis=1), targets.shape[1]
    shadows = keep[:, lineup.first_shadow :]
    return shadows.sum(axis=1), shadows.shape[1]
