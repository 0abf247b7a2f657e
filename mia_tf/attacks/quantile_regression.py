"""Bertran et al. (2023), "Scalable membership inference attacks via quantile regression": no shadow models.

A regression predicts, from the example itself, what the target says of examples that it was not trained on: the mean
and the standard deviation of phi. An example is taken for a member if the target is surer of it than that.
"""

import hashlib

import numpy as np

from mia_tf.attacks.base import Attack, register
from mia_tf.attacks.gaussian_regression import fit_normal, side_by_side
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.concurrency import Run, one_by_one

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

    def fit(self, run: Run = one_by_one) -> None:
        """Draws the random units, and fits the regressions that judge the examples of each half."""
        digests, x, labels, phi, keep = self._drawn.columns()
        self._units = self._drawn_units(_flat(x))
        features = self._features(x, labels).astype(np.float32)  # twice as fast, and precise enough
        self._regressions = []
        for half in range(_HALVES):
            usable = (digests % _HALVES != half)[:, None] & ~keep
            targets = np.flatnonzero(usable.sum(axis=0) >= FEWEST)
            tasks = zip(usable.T[targets], phi.T[targets], strict=True)
            fitted = list(run(lambda rows, values: fit_normal(features[rows], values[rows]), tasks))
            if fitted:
                self._regressions.append((half, targets, side_by_side(fitted)))

    def score(self, block: Block) -> np.ndarray:
        scores = np.full(block.keep.shape, np.nan)
        features, halves = self._features(block.x, block.labels), _digests(block.x) % _HALVES
        phi = block.phi.mean(axis=1)
        for half, targets, regressions in self._regressions:
            rows = np.flatnonzero(halves == half)
            places = np.ix_(rows, targets)
            scores[places] = regressions.standardized(features[rows], phi[places])
        return scores

    def _drawn_units(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean and scale of each value of x, and the weights of the random units for values and labels."""
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
