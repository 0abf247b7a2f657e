"""Song and Mittal (2021), "Systematic evaluation of privacy risks": entropy against a threshold per class.

The prediction entropy is low for members, but also if a model is surely wrong; the modified entropy is low
only if the model is surely right. An example is called a member below a threshold of its class. The threshold is the
one that best separates members from non-members (largest TPR - FPR) among the shadow models' records of that class. The
shadow models are all models but the target.
"""

import numpy as np

from mia_tf.attacks.base import Attack, register
from mia_tf.shadow import signals
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.concurrency import Run, one_by_one
from mia_tf.shadow.lineup import NONE

_THRESHOLDS = np.exp2(np.arange(-40, 10 + 1 / 16, 1 / 8))
"""What thresholds are chosen from, in nats, eight to a factor of two: so counts by model serve every target."""


class _Song(Attack):
    """Threshold of the class - entropy, in nats, averaged over the queries: positive for a member.

    The ROC is that of moving the thresholds of all classes up or down alike. Against the difference of their
    logarithms this gives more area, but nothing at low false positive rates, where that is no better than chance:
    the surest examples of the class with the highest threshold are one tie in the float32 of `analyze`.
    """

    needs = ("logits",)

    def __init__(self, num_models: int, rng: np.random.Generator):
        super().__init__(num_models, rng)
        self._counts = np.zeros((0, 2, num_models, len(_THRESHOLDS) + 1), np.int32)

    def observe(self, block: Block) -> None:
        self._lineup = block.lineup
        entropy = self._mean_entropy(block)
        missing = block.labels.max() + 1 - len(self._counts)
        if missing > 0:
            grown = np.zeros((missing, *self._counts.shape[1:]), np.int32)
            self._counts = np.concatenate([self._counts, grown])
        reached = np.searchsorted(_THRESHOLDS, entropy, side="right")
        cells = (block.labels[:, None], block.keep.astype(np.int64), np.arange(self.num_models), reached)
        places = np.ravel_multi_index(cells, self._counts.shape).ravel()
        np.add.at(self._counts.ravel(), places, np.int32(1))  # with a Python number it takes sixty times as long

    def fit(self, run: Run = one_by_one) -> None:
        """Chooses the thresholds."""
        # (C, M) by class and target; NaN for a class in which the shadow models of some target have one side only.
        self._thresholds = thresholds = np.full((len(self._counts), self.num_models), np.nan)
        twins = self._lineup.twins
        targets = thresholds[:, : len(twins)]
        for of_class, counts in zip(targets, self._counts[:, :, self._lineup.first_shadow :], strict=True):
            left_out = np.where(twins[:, None] == NONE, 0, counts[:, twins])
            below = (counts.sum(axis=1, keepdims=True) - left_out).cumsum(axis=-1)
            nonmembers, members = below / np.where(below[..., -1:].all(), below[..., -1:], np.nan)
            best = (members - nonmembers)[:, :-1].argmax(axis=-1)
            of_class[:] = _THRESHOLDS[best] + 0 * members[:, -1]

    def score(self, block: Block) -> np.ndarray:
        return self._thresholds[block.labels] - self._mean_entropy(block)

    def _mean_entropy(self, block: Block) -> np.ndarray:
        """(n, M) in nats, mean over the queries."""
        raise NotImplementedError


@register("song")
class Song(_Song):
    """The modified entropy, -(1 - p_y) log p_y - sum over the other classes of p_i log(1 - p_i)."""

    def _mean_entropy(self, block: Block) -> np.ndarray:
        return modified_entropy(block.logits, block.labels[:, None, None]).mean(axis=1)


@register("song_entropy")
class SongEntropy(_Song):
    """The prediction entropy, -sum of p_i log p_i, which does not look at the label."""

    def _mean_entropy(self, block: Block) -> np.ndarray:
        return entropy(block.logits).mean(axis=1)


def entropy(logits: np.ndarray) -> np.ndarray:
    """Entropy of the predicted distribution in nats: logits (..., C) -> (...) float64, exact at any logits.

    With z the logits below the largest, log(sum of exp z) - sum of p z: no term is negative.
    """
    below = np.array(logits, np.float64)
    top = below.argmax(axis=-1)[..., None]
    below -= np.take_along_axis(below, top, axis=-1)
    odds = np.exp(below)
    np.put_along_axis(odds, top, 0, axis=-1)
    others = odds.sum(axis=-1)
    return np.log1p(others) - np.einsum("...c,...c->...", odds, below) / (1 + others)


def modified_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Modified entropy in nats, lower if the model is surer of the label; exact at any logits.

    log(1 - p) comes from p where that is at most a half, and else from the logits.

    Args:
        logits: (..., C) float, C >= 2.
        labels: integers, broadcast against the leading shape of `logits`.

    Returns:
        (...) float64.
    """
    labels = np.broadcast_to(labels, logits.shape[:-1])
    probability = np.array(logits, np.float64)
    top = probability.argmax(axis=-1)
    probability -= np.take_along_axis(probability, top[..., None], axis=-1)
    np.exp(probability, out=probability)
    total = probability.sum(axis=-1)
    probability /= total[..., None]
    terms = np.minimum(probability, 0.5)
    np.negative(terms, out=terms)
    np.log1p(terms, out=terms)
    terms *= probability
    wrong = np.nonzero((top != labels) & (total < 2))
    terms[(*wrong, top[wrong])] = -signals.loss(-signals.phi(logits[wrong], top[wrong])) / total[wrong]
    np.put_along_axis(terms, labels[..., None], 0, axis=-1)
    phi = signals.phi(logits, labels)
    return np.exp(-signals.loss(-phi)) * signals.loss(phi) - terms.sum(axis=-1)
