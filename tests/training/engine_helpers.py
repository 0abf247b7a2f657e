"""A small training and its subsets, which tests of engines share."""

import numpy as np

from mia_tf.config import TrainingConfig

PKEEP = 0.6
SMALL = TrainingConfig(arch="cnn4-2-max", lr=0.05, batch=8, epochs=12, augment="none", queries=2)


def members_of(dataset, count, seed=0):
    """(count, N) bool: subsets of equal size, PKEEP of the examples."""
    draws = np.random.default_rng(seed).uniform(size=(count, len(dataset.images)))
    return draws.argsort(axis=1).argsort(axis=1) < round(PKEEP * len(dataset.images))
