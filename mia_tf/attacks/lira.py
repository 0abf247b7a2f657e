"""LiRA, the likelihood-ratio attack (Carlini et al., 2022), online and offline.

phi of an example is modelled as normal among the models that trained on it (IN) and among the others
(OUT), separately for every query: mu is the median over the shadow models, and sigma is their standard deviation
(ddof 0). The fixed variants have ONE sigma per side for all examples and queries.
"""

import numpy as np
from scipy.special import log_ndtr

from mia_tf.attacks.base import Attack, register
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.leave_one_out import IN, OUT

FIXED_BELOW = 64
"""With fewer models than this a sigma of each example's own is too noisy: the fixed variants do better."""
_LOG_2PI = np.log(2 * np.pi)
_VARIANCE_FLOOR = 1e-12
"""Logits are float32: a standard deviation under 1e-6 is rounding, and zero would give infinite evidence."""


def recommended_online(num_models: int) -> str:
    """The online variant to trust at this number of models (LiRA, section VI.C).

    By the number alone: who reports the variant that turned out better reports too much.
    """
    return "lira_online_fixed" if num_models < FIXED_BELOW else "lira_online"


class _Lira(Attack):
    """A variant with every example's own variance."""

    limitable = True

    def _variance(self, block: Block, side: int) -> np.ndarray:
        """Variance of one side, broadcastable to (n, Q, M); NaN if too few models are left."""
        return np.maximum(block.fits.variances(side), _VARIANCE_FLOOR)

    def _log_density(self, block: Block, side: int) -> np.ndarray:
        """(n, M) log density of phi under one side in nats, averaged over the queries."""
        variance = self._variance(block, side)
        density = block.phi - block.fits.medians[side]
        np.square(density, out=density)
        density /= variance
        density += np.log(variance)
        return -0.5 * (density.mean(axis=1) + _LOG_2PI)


class _FixedVariance(_Lira):
    """One variance per side and target: of phi about its example's mean, pooled over examples and queries.

    With one shadow model per side, no example leaves two models on a side that the attack uses. There is then nothing
    to estimate the variance from, and these sides have variance 1. Online, the ranks do not depend on the size of equal
    variances, nor do they offline with one query. The mean over several queries then takes phi as it is, in nats.
    """

    sides = (IN, OUT)
    """Those whose density is part of the score."""

    def __init__(self, num_models: int, rng: np.random.Generator):
        super().__init__(num_models, rng)
        self._squares = np.zeros((2, num_models))
        self._degrees_of_freedom = np.zeros(2)

    def observe(self, block: Block) -> None:
        for side, counts in enumerate(block.fits.counts):
            enough = counts >= 2
            self._squares[side] += block.fits.squares[side][enough].sum(axis=(0, 1))
            self._degrees_of_freedom[side] += block.phi.shape[1] * (counts[enough] - 1).sum()

    def _variance(self, block: Block, side: int) -> np.ndarray:
        if not self._degrees_of_freedom[list(self.sides)].all():
            return np.ones(self.num_models)
        return np.maximum(self._squares[side] / self._degrees_of_freedom[side], _VARIANCE_FLOOR)


@register("lira_online")
class Online(_Lira):
    """log N(phi; IN) - log N(phi; OUT) in nats, averaged over the queries (LiRA, algorithm 1)."""

    def score(self, block: Block) -> np.ndarray:
        return self._log_density(block, IN) - self._log_density(block, OUT)


@register("lira_online_fixed")
class OnlineFixed(_FixedVariance, Online):
    """As lira_online, with one variance per side for all examples."""


@register("lira_offline")
class Offline(_Lira):
    """The paper's one-sided test Pr[Z <= phi], Z normal as fitted to OUT (LiRA, section VI.B).

    The mean over the queries of log Pr[Z <= phi] rounds to 0 for all that lie 9 sigma or more above OUT. Its
    strictly increasing transform -log(-mean) is returned instead: with l_q = log(-log Pr[Z <= phi_q]), which
    is finite for any phi, the score is log Q - logsumexp_q l_q. Same ranking, no ties at the top.
    """

    def score(self, block: Block) -> np.ndarray:
        z = block.phi - block.fits.medians[OUT]
        z /= np.sqrt(self._variance(block, OUT))
        tails = _log_minus_log_ndtr(z)
        largest = tails.max(axis=1)
        return -largest - np.log(np.exp(tails - largest[:, None]).mean(axis=1))


@register("lira_offline_fixed")
class OfflineFixed(_FixedVariance, Offline):
    """As lira_offline, with one variance for all examples."""

    sides = (OUT,)


@register("lira_offline_two_sided")
class OfflineTwoSided(_Lira):
    """What LiRA's published code calls offline: -log N(phi; OUT), high on both sides of OUT, mean over the queries."""

    def score(self, block: Block) -> np.ndarray:
        return -self._log_density(block, OUT)


def _log_minus_log_ndtr(z: np.ndarray) -> np.ndarray:
    """log(-log Phi(z)), decreasing; from z = 10 on -log Phi(z) is Phi(-z) to 24 digits."""
    result = np.empty(z.shape)
    high = z > 10
    result[high] = log_ndtr(-z[high])
    result[~high] = np.log(-log_ndtr(z[~high]))
    return result
