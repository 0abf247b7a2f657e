"""Bertran et al. (2023), "Scalable membership inference attacks via quantile regression": no shadow models.

A regression predicts, from the example itself, what the target says of examples that it was not trained on: the mean
and the standard deviation of phi. An example is taken for a member if the target is surer of it than that.
"""

import hashlib
from functools import cached_property

import numpy as np

from mia_tf.attacks.base import Attack, register
from mia_tf.attacks.gaussian_regression import GaussianRegression
from mia_tf.shadow.blocks import Block

MAX_EXAMPLES = 20_000
"""Examples that the regressions are fitted to; for each target, examples that it was not trained on."""
MAX_UNITS = 256
"""Random units of ReLU that see an example; fewer if it has few values, or if there are few examples."""
FEWEST = 2
"""With fewer non-members than this a target has no regression."""
_HALVES = 2


class _Drawn:
    """Examples with the lowest digests, whatever the order they come in."""

    def __init__(self):
        self._pieces: list[tuple[np.ndarray, ...]] = []
        self._bound = np.uint64(2**64 - 1)

    def add(self, digests: np.ndarray, *columns: np.ndarray) -> None:
        """Adds rows: their digests (n,) uint64 and other columns (n, ...)."""
        rows = digests <= self._bound
        self._pieces.append(tuple(column[rows] for column in (digests, *columns)))
        if sum(len(piece[0]) for piece in self._pieces) > 2 * MAX_EXAMPLES:
            self._bound = self.columns()[0][-1]

    def columns(self) -> tuple[np.ndarray, ...]:
        """Digests, ascending, and the other columns of the MAX_EXAMPLES rows at most; drops all other rows."""
        columns = [np.concatenate(parts) for parts in zip(*self._pieces, strict=True)]
        lowest = np.argsort(columns[0], kind="stable")[:MAX_EXAMPLES]
        self._pieces = [tuple(column[lowest] for column in columns)]
        return self._pieces[0]


@register("quantile_regression")
class QuantileRegression(Attack):
    """How many standard deviations phi, averaged over the queries, lies above what the example itself predicts.

    Both are linear in random units of ReLU, which see the example's values and its label, and are fitted to each target
    by Gaussian likelihood. The regression that judges an example never saw it, nor a copy of it: the digest of an
    example says which half it belongs to, and each half is judged by the regression on the other half's non-members.
    """

    alone = True
    needs = ("x",)

    def __init__(self, num_models: int, rng: np.random.Generator):
        super().__init__(num_models, rng)
        self._drawn = _Drawn()
        self._num_classes = 0

    def observe(self, block: Block) -> None:
        targets = slice(block.lineup.num_targets)
        columns = block.x, block.labels, block.phi[..., targets].mean(axis=1), block.keep[:, targets]
        self._drawn.add(_digests(block.x), *columns)
        self._num_classes = max(self._num_classes, int(block.labels.max()) + 1)

    def score(self, block: Block) -> np.ndarray:
        scores = np.full(block.keep.shape, np.nan)
        features, halves = self._features(block.x, block.labels), _digests(block.x) % _HALVES
        phi = block.phi.mean(axis=1)
        for half, regressions in enumerate(self._regressions):
            rows = halves == half
            for target, regression in regressions.items():
                scores[rows, target] = regression.standardized(features[rows], phi[rows, target])
        return scores

    @cached_property
    def _columns(self) -> tuple[np.ndarray, ...]:
        """Of the examples that are fitted to: digests, x, labels, and phi and membership by target."""
        return self._drawn.columns()

    @cached_property
    def _regressions(self) -> list[dict[int, GaussianRegression]]:
        """Half of the examples -> target -> the regression that judges them, fitted to the other half's non-members."""
        digests, x, labels, phi, keep = self._columns
        features = self._features(x, labels).astype(np.float32)  # twice as fast, and precise enough
        by_half = []
        for half in range(_HALVES):
            usable = (digests % _HALVES != half)[:, None] & ~keep
            targets = np.flatnonzero(usable.sum(axis=0) >= FEWEST)
            by_half.append({k: GaussianRegression(features[usable[:, k]], phi[usable[:, k], k]) for k in targets})
        return by_half

    @cached_property
    def _units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean and scale of each value of x, and the weights of the random units for values and labels."""
        x = _flat(self._columns[1])
        scale = x.std(axis=0)
        scale[scale == 0] = 1
        num_values = x.shape[1]
        num_units = max(1, min(MAX_UNITS, 16 * num_values, len(x) // 10))
        values = self.rng.normal(size=(num_values, num_units)) / np.sqrt(num_values)
        return x.mean(axis=0), scale, values, self.rng.normal(size=(self._num_classes, num_units))

    def _features(self, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(n, units) float64 of examples x (n, ...) and labels (n,)."""
        mean, scale, values, of_label = self._units
        return np.maximum(((_flat(x) - mean) / scale) @ values + of_label[labels], 0)


def _flat(x: np.ndarray) -> np.ndarray:
    """(n, values) float64."""
    return x.reshape(len(x), -1).astype(np.float64)


def _digests(x: np.ndarray) -> np.ndarray:
    """(n,) uint64, equal for equal examples."""
    rows = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in x)
    return np.array([int.from_bytes(digest) for digest in rows], np.uint64)
