"""Attacks on a model that returns its label alone (Choquette-Choo et al., 2021, "Label-only membership inference").

All that they see is which of an example's Q views the model classifies correctly. They give every view the same
weight, and only the number of correct views counts.
"""

import numpy as np

from mia_tf.attacks.base import Attack, register
from mia_tf.shadow import signals
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.leave_one_out import IN, OUT


def correct_share(block: Block) -> np.ndarray:
    """(n, M) float64, the share of an example's views that each model classifies correctly."""
    return signals.correct(block.logits, block.labels[:, None, None]).mean(axis=1)


@register("label_only")
class LabelOnly(Attack):
    """The log likelihood ratio of the number of correct views, in nats per view: LiRA with labels alone.

    The number is taken as binomial, with one rate for the models that trained on the example (IN) and one for the
    others (OUT). A rate is the share of correct views among the side's shadow models, to which one more model is
    added: it has the rate of that side over all examples. So no rate is 0 or 1. The views of one model agree more than
    independent ones, which stretches all ratios and keeps their order if they agree alike for all examples.
    """

    limitable = True
    needs = ("logits",)

    def __init__(self, num_models: int, rng: np.random.Generator):
        super().__init__(num_models, rng)
        self._rates = np.full((2, num_models), 0.5)  # sums over the examples; one half keeps the means off 0 and 1
        self._examples = np.ones((2, num_models))

    def observe(self, block: Block) -> None:
        rates = block.leave_one_out(correct_share(block)[:, None]).means[:, :, 0]
        self._rates += np.nansum(rates, axis=1)
        self._examples += np.count_nonzero(~np.isnan(rates), axis=1)

    def score(self, block: Block) -> np.ndarray:
        share = correct_share(block)
        fits = block.leave_one_out(share[:, None])
        usual = self._rates / self._examples
        counts = fits.counts[:, :, None]
        rates = (counts * fits.means[:, :, 0] + usual[:, None]) / (counts + 1)
        right, wrong = np.log(rates), np.log1p(-rates)
        return share * (right[IN] - right[OUT]) + (1 - share) * (wrong[IN] - wrong[OUT])


@register("label_only_gap")
class Gap(Attack):
    """The share of correct views: with one view the gap attack, which takes correct for member (Yeom et al., 2018)."""

    alone = True
    needs = ("logits",)

    def score(self, block: Block) -> np.ndarray:
        return correct_share(block)
