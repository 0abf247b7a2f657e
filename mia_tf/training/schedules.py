"""The schedule of a model: how many steps it takes, at which learning rate, and which examples each step sees.

All of it follows from the configuration and the model's seed, and is the same for every engine and backend.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from mia_tf.config import TrainingConfig
from mia_tf.privacy_guarantee import PrivacyGuarantee

MOMENTUM = 0.9
"""Of SGD, as in LiRA's code: v = 0.9 v + g, w = w - rate * v."""
ORDER, AUGMENTATION, NOISE = 1, 2, 3
"""Streams of randomness that follow from a model's seed; stream 0 draws its initial weights."""


def lira_learning_rate(peak: float, warmup: float, progress):
    """Returns LiRA's learning rate: peak * cos(7 pi p / 16) * clip(p / warmup, 0, 1) at progress p in [0, 1].

    The published code has a warm-up of 0.01, one hundredth of training. The rate is a float32 tensor of p's shape.
    """
    from keras import ops  # here, because the course of a model imports no framework

    rate = peak * ops.cos(progress * (7 * np.pi / 16))
    if warmup > 0:
        rate = rate * ops.clip(progress / warmup, 0.0, 1.0)
    return rate


def num_steps(config: TrainingConfig, guarantee: PrivacyGuarantee | None, num_members: int) -> int:
    """Steps that a model takes: the guarantee's number, or else that of its own training set."""
    return guarantee.steps if guarantee else config.epochs * num_members // config.batch


def most_steps_of_an_epoch(config: TrainingConfig, guarantee: PrivacyGuarantee | None, num_members: int) -> int:
    """Steps of the longest epoch of a model of at most that many examples."""
    return max(_steps_of_epochs(config.epochs, num_steps(config, guarantee, num_members)))


def orders(
    config: TrainingConfig, guarantee: PrivacyGuarantee | None, members: np.ndarray, seed: int
) -> Iterator[Sequence[np.ndarray] | np.ndarray]:
    """For each epoch, the rows of the data set that each of its steps sees.

    Args:
        config: of the training.
        guarantee: of private training; None for training without.
        members: (n,) int row numbers of the training set.
        seed: the model's.
    """
    rng, steps = np.random.default_rng([seed, ORDER]), num_steps(config, guarantee, len(members))
    if guarantee and guarantee.sampling == "poisson":
        return poisson_order(members, guarantee.sampling_rate, config.epochs, steps, rng)
    return example_order(members, config.batch, config.epochs, steps, rng)


def example_order(
    members: np.ndarray, batch: int, epochs: int, steps: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields the examples of every step, one epoch at a time.

    Fresh permutations of the members follow one another without a gap, and batches are cut from that stream. So a batch
    may span two passes, and no example is skipped.

    Args:
        members: (n,) int row numbers of the training set.
        batch: examples per step, at most n.
        epochs: parts that the steps are yielded in, as even as can be.
        steps: steps in all.
        rng: the source of the permutations.

    Yields:
        For each epoch (steps of the epoch, batch) int32 row numbers.
    """
    stream = np.empty(0, np.int32)
    for count in _steps_of_epochs(epochs, steps):
        while len(stream) < count * batch:
            stream = np.concatenate([stream, rng.permutation(members).astype(np.int32)])
        yield stream[: count * batch].reshape(count, batch)
        stream = stream[count * batch :]


def poisson_order(
    members: np.ndarray, rate: float, epochs: int, steps: int, rng: np.random.Generator
) -> Iterator[list[np.ndarray]]:
    """Poisson-sampled batches: every member is in every step's batch with probability `rate`, by itself.

    Args:
        members, epochs, steps: as in `example_order`.
        rate: in (0, 1].
        rng: the source of the draws.

    Yields:
        For each epoch a list of int32 row numbers for each of its steps; their number varies and may be 0.
    """
    for count in _steps_of_epochs(epochs, steps):
        sizes = rng.binomial(len(members), rate, size=count)
        # A binomial number of members chosen without replacement is one coin toss for each member.
        yield [rng.choice(members, size, replace=False).astype(np.int32) for size in sizes]


def _steps_of_epochs(epochs: int, steps: int) -> Iterator[int]:
    for epoch in range(epochs):
        yield (epoch + 1) * steps // epochs - epoch * steps // epochs
