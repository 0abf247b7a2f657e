"""The accuracies that every engine reports of a trained model."""

import numpy as np

from mia_tf.records import OVER, UNDER, Dataset

_GROUPS = {"all": (OVER, UNDER), "over": (OVER,), "under": (UNDER,)}


def by_group(name: str, correct: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Shares of correct answers as {name}_{all|over|under}; groups without examples are left out.

    Args:
        name: prefix of the keys.
        correct: (n,) bool.
        groups: (n,) uint8, OVER or UNDER.
    """
    chosen = {group: np.isin(groups, ids) for group, ids in _GROUPS.items()}
    return {f"{name}_{group}": float(correct[rows].mean()) for group, rows in chosen.items() if rows.any()}


def on_pool(logits: np.ndarray, dataset: Dataset, keep: np.ndarray) -> dict[str, float]:
    """Accuracies on a model's members (train_accuracy_*) and on the other examples (out_accuracy_*).

    Args:
        logits: (N, C) of the unmodified images.
        dataset: the examples.
        keep: (N,) bool, the members.
    """
    correct = logits.argmax(axis=1) == dataset.labels
    return {
        **by_group("train_accuracy", correct[keep], dataset.groups[keep]),
        **by_group("out_accuracy", correct[~keep], dataset.groups[~keep]),
    }


def is_at_chance(accuracy: float, labels: np.ndarray) -> bool:
    """Whether an accuracy is no better than always naming the most frequent label, within sampling error.

    Args:
        accuracy: share of correct answers on `labels`.
        labels: (n,) int.
    """
    chance = np.bincount(labels).max() / len(labels)
    return bool(accuracy <= chance + 3 * np.sqrt(chance * (1 - chance) / len(labels)))
