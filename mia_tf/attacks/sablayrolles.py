"""Sablayrolles et al. (2019), "White-box vs black-box": a threshold of each example's own for its loss (MAST).

An example that is easy for all models has a low loss whether or not it was trained on; MAST compares the
target's loss with what the shadow models say of the same example. With ONE threshold for all (MALT) the
ranking is that of Yeom's attack.
"""

import numpy as np

from mia_tf.attacks.base import Attack, register
from mia_tf.shadow import signals
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.leave_one_out import IN, OUT


class _Mast(Attack):
    """tau(z) - loss in nats, averaged over the queries; no fit but tau."""

    limitable = True

    def score(self, block: Block) -> np.ndarray:
        loss = signals.loss(block.phi)
        return (self._thresholds(block.leave_one_out(loss).means) - loss).mean(axis=1)

    def _thresholds(self, means: np.ndarray) -> np.ndarray:
        """(n, Q, M) tau of every example for every target, from the mean losses (2, n, Q, M) of both sides."""
        raise NotImplementedError


@register("sablayrolles")
class Mast(_Mast):
    """tau(z) is midway between the mean loss of the IN and that of the OUT models.

    The paper leaves open how tau is found from models with and without z; the midpoint is the best threshold
    between two distributions of equal shape, mirrored about it.
    """

    def _thresholds(self, means: np.ndarray) -> np.ndarray:
        return (means[IN] + means[OUT]) / 2


@register("sablayrolles_offline")
class OfflineMast(_Mast):
    """tau(z) is the mean loss of the OUT models, all that an adversary has who cannot train on z."""

    def _thresholds(self, means: np.ndarray) -> np.ndarray:
        return means[OUT]
