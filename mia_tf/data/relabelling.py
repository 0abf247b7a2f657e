"""New labels that have nothing to do with the picture (Carlini et al. 2022, Figure 13)."""

import numpy as np


def wrong_labels(labels: np.ndarray, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) int64: for each of `labels`, one of the other num_classes - 1, all equally likely."""
    return (labels + rng.integers(1, num_classes, len(labels))) % num_classes


def random_labels(labels: np.ndarray, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) int64: for each of `labels`, one in [0, num_classes), all equally likely, the old one too."""
    return rng.integers(0, num_classes, len(labels))
