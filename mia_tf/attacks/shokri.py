"""Shokri et al. (2017), "Membership inference attacks against machine learning models": one attack network per class.

For each true class, one network learns to tell the softmax vectors of IN shadow models from those of OUT shadow models.
It then judges the target's vectors. As in Choi et al. (2023), it has one hidden layer of 64 ReLU and a softmax, and
takes the vector as it is, unsorted.
"""

import numpy as np
from scipy.special import softmax

from mia_tf.attacks import networks
from mia_tf.attacks.base import Attack, register
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.concurrency import Run, one_by_one
from mia_tf.shadow.lineup import NONE, Lineup

FOLDS = 2
MAX_ROWS = 5_000
"""Most rows that a network trains on, IN and OUT together.

Measured with 2,500, 5,000 and 10,000 rows, means of three seeds, AUROC of all and of the under-represented examples: on
64 models of 5,000 MNIST and 250 SVHN digits 0.527 and 0.842, 0.527 and 0.842, 0.527 and 0.841; on 64 models of 5,000
CIFAR-10 and 1,000 augCIFAR-10 images 0.824 and 0.868, 0.823 and 0.868, 0.824 and 0.869. So more rows are no gain.
`experiments/benchmarks/attacks_speed.py --caps` measures it on any LOGDIR.
"""
MOST_VALUES = 1 << 29
"""Values in the rows of all networks together: 2 GiB. From 232 classes on, it leaves each network fewer rows."""


class _Pairs:
    """Up to `capacity` pairs of an IN and an OUT model's logits of one example: those of lowest priority."""

    def __init__(self, capacity: int, queries: int, classes: int):
        self._priorities = np.full(capacity, np.inf)  # infinite: a free place
        self._logits = np.empty((capacity, 2, queries, classes), np.float32)

    @property
    def bound(self) -> float:
        """Pairs of this priority or a higher one would not be kept."""
        return self._priorities.max()

    @property
    def logits(self) -> np.ndarray:
        """(k, 2, Q, C) float32, in no particular order."""
        return self._logits[np.isfinite(self._priorities)]

    def add(self, priorities: np.ndarray, logits: np.ndarray) -> None:
        """Adds pairs of these finite priorities (k,) and logits (k, 2, Q, C)."""
        # In place: new arrays for every block would leave the heap in pieces, at 100 classes in twice their size.
        capacity = len(self._priorities)
        lowest = np.concatenate([self._priorities, priorities]).argsort(kind="stable")[:capacity]
        added = lowest[lowest >= capacity] - capacity
        freed = np.setdiff1d(np.arange(capacity), lowest)
        self._priorities[freed], self._logits[freed] = priorities[added], logits[added]


@register("shokri")
class Shokri(Attack):
    """Log odds of membership by the network of the example's class, averaged over the queries.

    Cross-fitted: the models are dealt into two folds, and the networks that judge the models of one fold are
    trained on those of the other. Training rows come in pairs, an IN and an OUT model's answer to the same
    example. So neither the position of an example nor the number of its IN models reveals the label. In a balanced
    plan that number depends on whether the target is one of them.
    """

    needs = ("logits",)

    def __init__(self, num_models: int, rng: np.random.Generator):
        super().__init__(num_models, rng)
        self._folds = np.array_split(rng.permutation(num_models), FOLDS)
        self._draws = rng.spawn(FOLDS)
        self._pairs: dict[tuple[int, int], _Pairs] = {}

    def observe(self, block: Block) -> None:
        """Draws pairs for the networks of every fold and class."""
        self._folds = [_with_twins(fold, block.lineup) for fold in self._folds]
        for fold, judged in enumerate(self._folds):
            shadow = np.setdiff1d(np.arange(block.lineup.first_shadow, self.num_models), judged)
            keep = block.keep[:, shadow]
            num_in = keep.sum(axis=1)
            in_first = shadow[np.argsort(~keep, axis=1, kind="stable")]
            priorities = self._draws[fold].random((len(keep), len(shadow) // 2))
            k = np.arange(len(shadow) // 2)
            priorities[k >= np.minimum(num_in, len(shadow) - num_in)[:, None]] = np.inf  # no such pair
            for label in np.unique(block.labels):
                pairs = self._pairs_of(fold, label, block)
                of_class = (block.labels == label)[:, None]
                rows, k = np.nonzero(of_class & (priorities < pairs.bound))
                models = np.stack([in_first[rows, k], in_first[rows, num_in[rows] + k]], axis=1)
                pairs.add(priorities[rows, k], block.logits[rows[:, None], :, models])

    def fit(self, run: Run = one_by_one) -> None:
        """Trains the networks by fold and class; without the classes that lack pairs in a fold."""
        labels = sorted({label for _, label in self._pairs})
        paired = [label for label in labels if all(len(self._pairs[fold, label].logits) for fold in range(FOLDS))]
        keys = [(fold, label) for label in paired for fold in range(FOLDS)]
        data = [_training_set(self._pairs.pop(key).logits) for key in keys]  # both together would be twice as large
        seeds = self.rng.integers(2**32, size=len(keys)).tolist()
        trained = networks.fit([rows for rows, _ in data], [member for _, member in data], seeds, run)
        self._networks = dict(zip(keys, trained, strict=True))

    def score(self, block: Block) -> np.ndarray:
        scores = np.full(block.keep.shape, np.nan)
        probabilities = softmax(block.logits.astype(np.float64), axis=-1)
        for (fold, label), network in self._networks.items():
            rows, judged = np.flatnonzero(block.labels == label), self._folds[fold]
            scores[np.ix_(rows, judged)] = network.log_odds(probabilities[rows][:, :, judged]).mean(axis=1)
        return scores

    def _pairs_of(self, fold: int, label: int, block: Block) -> _Pairs:
        if (fold, label) not in self._pairs:
            _, queries, _, classes = block.logits.shape
            rows = min(MAX_ROWS, MOST_VALUES // (FOLDS * classes**2))
            self._pairs[fold, label] = _Pairs(max(1, rows // (2 * queries)), queries, classes)
        return self._pairs[fold, label]


def _with_twins(fold: np.ndarray, lineup: Lineup) -> np.ndarray:
    """The positions of a fold, where each target that has a twin is where its twin is."""
    targets = np.flatnonzero(lineup.twins != NONE)
    moved = np.isin(lineup.first_shadow + lineup.twins[targets], fold)
    return np.union1d(np.setdiff1d(fold, targets), targets[moved])


def _training_set(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Softmax vectors (n, C) float32 of pairs of logits (k, 2, Q, C), and which are of members (n,)."""
    rows = softmax(logits, axis=-1).reshape(-1, logits.shape[-1])
    member = np.broadcast_to(np.array([True, False])[:, None], logits.shape[:3]).ravel()
    order = np.lexsort((*rows.T, member))  # whatever the order the examples came in
    return rows[order], member[order]
