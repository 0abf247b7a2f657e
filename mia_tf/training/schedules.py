"""Learning-rate schedules and the order in which examples are seen."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf


def lira_learning_rate(peak: float, warmup: float, progress: tf.Tensor) -> tf.Tensor:
    """LiRA's schedule: peak * cos(7 pi p / 16) * clip(p / warmup, 0, 1) at progress p in [0, 1].

    The published code has a warm-up of 0.01, one hundredth of training. Scalar float32.
    """
    rate = peak * tf.cos(progress * (7 * np.pi / 16))
    if warmup > 0:
        rate *= tf.clip_by_value(progress / warmup, 0.0, 1.0)
    return rate


def example_order(members: np.ndarray, batch: int, epochs: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The examples of every step, an epoch at a time.

    A fresh permutation of the members follows another without a gap, and batches are cut from that
    stream, so a batch may span two passes and no example is passed over.

    Args:
        members: (n,) int row numbers of the training set.
        batch: examples a step, at most n.
        epochs: passes.
        rng: the source of the permutations.

    Yields:
        For each epoch (steps, batch) int32 row numbers; steps is n / batch rounded down or up so
        that the epochs together make n * epochs // batch steps.
    """
    rest = np.empty(0, np.int32)
    for _ in range(epochs):
        stream = np.concatenate([rest, rng.permutation(members).astype(np.int32)])
        steps = len(stream) // batch
        yield stream[: steps * batch].reshape(steps, batch)
        rest = stream[steps * batch :]
