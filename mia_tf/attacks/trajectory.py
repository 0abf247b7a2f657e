"""LiRA and RMIA on several epochs of one training, whose weights or answers the attacker saw (Nasr et al., 2019).

Phi of an example is a vector, one value per epoch.
"""

from dataclasses import replace

import numpy as np

from mia_tf.attacks import rmia
from mia_tf.attacks.base import Attack, register
from mia_tf.attacks.lira import _VARIANCE_FLOOR
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.concurrency import Run, one_by_one
from mia_tf.shadow.leave_one_out import IN, OUT

INDEPENDENT = 0.1
"""Weight of independent epochs in the correlations between epochs, chosen by likelihood (MNIST with SVHN digits)."""


@register("trajectory_lira")
class Lira(Attack):
    """log N(phi; IN) - log N(phi; OUT) in nats, N multivariate normal over the epochs, averaged over the queries.

    The covariances are those of all examples together, for each side and target. An example has its own means, but few
    models tell them badly, and each epoch would add its noise. So the difference between the means of IN and OUT is
    drawn towards that of all examples, by the linear estimate with the least squared error: as far as differences vary
    no more between examples than chance makes them. An epoch that shows nothing then counts for nothing.
    """

    needs = ("epochs",)
    limitable = True

    def __init__(self, num_models: int, rng: np.random.Generator):
        super().__init__(num_models, rng)
        # As many epochs as the first block has.
        self._products = np.zeros(())  # (2, M, E, E) sums of products of deviations from the means, by side
        self._degrees_of_freedom = np.zeros(2)
        self._difference, self._differences = (
            np.zeros(()),
            np.zeros(()),
        )  # (M, E) and (M, E, E) sums over examples and queries
        self._num_differences = 0
        self._inverse_counts = np.zeros(2)

    def observe(self, block: Block) -> None:
        epochs = block.trajectory
        fits = [block.leave_one_out(values) for values in epochs]
        counts, num_queries = fits[0].counts, epochs.shape[2]
        own = [_summed(fit.squares, counts) for fit in fits]
        products = np.empty((2, self.num_models, len(epochs), len(epochs)))
        for a, of_a in enumerate(own):
            products[:, :, a, a] = of_a
            for b in range(a):
                # Sums of products by those of squares, which leave out the target exactly.
                both = _summed(block.leave_one_out(epochs[a] + epochs[b]).squares, counts)
                products[:, :, a, b] = products[:, :, b, a] = (both - of_a - own[b]) / 2
        self._products = self._products + products
        self._degrees_of_freedom += num_queries * np.maximum(counts - 1, 0).sum(axis=1)
        rows = (counts > 0).all(axis=0)
        differences = np.array([fit.means[IN, rows] - fit.means[OUT, rows] for fit in fits])
        self._difference = self._difference + differences.sum(axis=(1, 2)).T
        self._differences = self._differences + np.einsum("anqm,bnqm->mab", differences, differences)
        self._num_differences += num_queries * rows.sum()
        self._inverse_counts += num_queries * (1 / counts[:, rows]).sum(axis=1)

    def fit(self, run: Run = one_by_one) -> None:
        self._covariances = self._pooled_covariances()
        self._precisions = np.linalg.inv(self._covariances)
        self._estimate = self._shrunk_difference()

    def score(self, block: Block) -> np.ndarray:
        epochs = block.trajectory
        fits = [block.leave_one_out(values) for values in epochs]
        counts = fits[0].counts
        share = np.divide(counts[IN], counts.sum(axis=0), out=np.zeros(len(block.keep)), where=counts.sum(axis=0) > 0)
        share = share[:, None, None]
        means = np.array([fit.means for fit in fits])
        usual, kept = self._estimate
        usual = usual.T[:, None, None]
        difference = usual + np.einsum("mab,bnqm->anqm", kept, means[:, IN] - means[:, OUT] - usual)
        centre = share * means[:, IN] + (1 - share) * means[:, OUT]
        density = [
            self._log_density(epochs - centre - place * difference, side)
            for side, place in ((IN, 1 - share), (OUT, -share))
        ]
        return density[IN] - density[OUT]

    def _log_density(self, deviations: np.ndarray, side: int) -> np.ndarray:
        """(n, M) log density of deviations from the mean (E, n, Q, M), but for a constant of both sides."""
        distance = np.zeros(deviations.shape[1:])
        for a, of_a in enumerate(deviations):
            distance += self._precisions[side][:, a, a] * np.square(of_a)
            for b in range(a):
                distance += 2 * self._precisions[side][:, a, b] * of_a * deviations[b]
        log_determinants = np.linalg.slogdet(self._covariances[side])[1]
        return -0.5 * (distance.mean(axis=1) + log_determinants)

    def _pooled_covariances(self) -> np.ndarray:
        """(2, M, E, E) of phi about each example's mean; identities if no example has two models on a side."""
        identity = np.eye(self._products.shape[-1])
        if not self._degrees_of_freedom.all():
            return np.broadcast_to(identity, self._products.shape)
        covariances = self._products / self._degrees_of_freedom[:, None, None, None]
        covariances = np.where(np.isnan(covariances), identity, covariances)  # of shadow models that are no targets
        covariances = np.where(identity > 0, np.maximum(covariances, _VARIANCE_FLOOR), (1 - INDEPENDENT) * covariances)
        return covariances

    def _shrunk_difference(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean difference of IN and OUT (M, E), and the part of what an example differs from it that is kept.

        The part is T (T + S)^-1, (M, E, E), with S the covariance that the few models give to a difference, and T that
        of the true differences: that of the measured ones less S.
        """
        num_epochs = self._products.shape[-1]
        if not self._num_differences:
            return np.full((self.num_models, num_epochs), np.nan), np.zeros((self.num_models, num_epochs, num_epochs))
        usual = self._difference / self._num_differences
        if not self._degrees_of_freedom.all():
            return usual, np.broadcast_to(np.eye(num_epochs), self._differences.shape)
        by_chance = np.einsum("s,smab->mab", self._inverse_counts / self._num_differences, self._covariances)
        measured = self._differences / self._num_differences - usual[:, :, None] * usual[:, None]
        true = np.where(np.isnan(measured), 0, measured) - by_chance
        values, vectors = np.linalg.eigh(true)
        true = np.einsum("mak,mk,mbk->mab", vectors, np.maximum(values, 0), vectors)
        return usual, true @ np.linalg.inv(true + by_chance)


def _summed(squares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(2, M) sums of (2, n, Q, M), over the queries and the examples with two models left on the side, (2, n)."""
    return np.array([of_side[rows].sum(axis=(0, 1)) for of_side, rows in zip(squares, counts >= 2, strict=True)])


@register("trajectory_rmia")
class Rmia(rmia.Online):
    """RMIA whose ratios of confidences are averaged over all epochs, as over the queries."""

    needs = ("epochs",)

    def _log_ratios(self, block: Block, rows=slice(None)) -> np.ndarray:
        epochs = (replace(block, phi=phi) for phi in block.trajectory)
        return np.mean([rmia.Online._log_ratios(self, one, rows) for one in epochs], axis=0)
