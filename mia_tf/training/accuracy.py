"""The accuracies that every engine reports of a trained model."""

from collections.abc import Sequence

import numpy as np

from mia_tf.labels import right_by_chance
from mia_tf.records import ALL, GROUPS, Dataset, Examples


def by_group(
    name: str, correct: np.ndarray, groups: np.ndarray, populations: Sequence[str] = GROUPS
) -> dict[str, float]:
    """Shares of correct answers as {name}_all and {name}_{population}; groups without examples are left out.

    Args:
        name: prefix of the keys.
        correct: (n,) bool.
        groups: (n,) uint8, positions in `populations`.
        populations: names of the groups.
    """
    chosen = {ALL: np.ones(len(groups), bool)} | {group: groups == k for k, group in enumerate(populations)}
    return {f"{name}_{group}": float(correct[rows].mean()) for group, rows in chosen.items() if rows.any()}


def on_pool(logits: np.ndarray, dataset: Dataset | Examples, keep: np.ndarray) -> dict[str, float]:
    """Accuracies on a model's members (train_accuracy_*) and on the other examples (out_accuracy_*).

    Args:
        logits: (N, C) of the unmodified examples.
        dataset: the examples.
        keep: (N,) bool, the members.
    """
    correct = logits.argmax(axis=1) == dataset.labels
    return {
        **by_group("train_accuracy", correct[keep], dataset.groups[keep], dataset.populations),
        **by_group("out_accuracy", correct[~keep], dataset.groups[~keep], dataset.populations),
    }


def is_at_chance(accuracy: float, labels: np.ndarray) -> bool:
    """Whether an accuracy, the share of correct answers on `labels` (n,), is no better than `right_by_chance`."""
    return bool(accuracy * len(labels) <= right_by_chance(labels))
