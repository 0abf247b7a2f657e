"""Yeom et al. (2018), "Privacy risk in machine learning": members have a low loss."""

import numpy as np

from mia_tf.attacks.base import Attack, register
from mia_tf.shadow import signals
from mia_tf.shadow.blocks import Block


@register("yeom")
class Yeom(Attack):
    """Minus the loss, averaged over the queries, against one threshold for all; needs no shadow models."""

    alone = True

    def score(self, block: Block) -> np.ndarray:
        return -signals.loss(block.phi).mean(axis=1)
