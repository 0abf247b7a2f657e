"""How often the models are right: on what they trained on, on the pool's other examples, on test images."""

from collections.abc import Mapping

import numpy as np

from mia_tf.analysis.statistics import mean_interval
from mia_tf.records import ALL
from mia_tf.shadow.blocks import Block, PlainView
from mia_tf.shadow.shadow_models import ShadowModels


class AccuracyTally:
    """Each model's accuracy on the examples it trained on (train) and on the pool's others (out)."""

    def __init__(self):
        self._counts: dict[tuple[str, str], np.ndarray] = {}

    def add(self, block: Block, view: PlainView, masks: Mapping[str, np.ndarray]) -> None:
        """Counts a block; `masks` are (N,) bool, by name of the group."""
        here = slice(block.start, block.start + len(block.keep))
        for split, side in (("train", block.keep), ("out", ~block.keep)):
            for name, mask in masks.items():
                counted = side[mask[here]]
                counts = np.array([(view.correct[mask[here]] & counted).sum(axis=0), counted.sum(axis=0)])
                self._counts[split, name] = self._counts.get((split, name), 0) + counts

    def on_members(self) -> tuple[np.ndarray, np.ndarray]:
        """(T,) how many of its training examples each model classifies correctly, and (T,) how many these are.

        T is 0 if nothing was counted.
        """
        right, trained_on = self._counts.get(("train", ALL), np.zeros((2, 0), np.int64))
        return right, trained_on

    def rows(self) -> list[tuple]:
        """Rows of accuracy.csv: the mean over models and its 95% interval."""
        rows = []
        for (split, name), (right, counted) in self._counts.items():
            accuracies = right[counted > 0] / counted[counted > 0]
            if len(accuracies):
                rows.append((split, name, *_mean_accuracy(accuracies), len(accuracies)))
        return rows


def test_image_rows(shadows: ShadowModels) -> list[tuple]:
    """Rows of accuracy.csv for the test images, from the models' own records, where these have them."""
    metrics = [model.metrics() for model in shadows.models]
    rows = []
    for name in shadows.populations:
        accuracies = [record[key] for record in metrics if record.get(key := f"test_accuracy_{name}") is not None]
        if accuracies:
            rows.append(("test", name, *_mean_accuracy(np.array(accuracies)), len(accuracies)))
    return rows


def _mean_accuracy(accuracies: np.ndarray) -> list[float]:
    """The mean over models and its interval, which ends where accuracies do."""
    return np.clip(mean_interval(accuracies), 0, 1).tolist()
