"""Small binary classifiers of equal shape, many trained at once: in every step one stacked product serves them all.

A network has one hidden layer of ReLU and one logistic output, and is trained as scikit-learn's `MLPClassifier` trains
by default: Glorot's initial weights, Adam at a rate of 0.001, batches of 200 rows, an L2 penalty of 1e-4. Unlike there,
no network stops before its last epoch.
"""

from dataclasses import dataclass

import numpy as np

from mia_tf.shadow.concurrency import Run, one_by_one

HIDDEN = 64
EPOCHS = 50
BATCH = 200
_L2 = 1e-4
_RATE = 1e-3
_BETA_1 = 0.9
_BETA_2 = 0.999
_EPSILON = 1e-8
_STACK = 20
"""Networks trained at once: more are no faster, and hold more rows in memory."""


@dataclass(frozen=True)
class Network:
    """The weights of a trained network.

    Attributes:
        hidden: (C + 1, HIDDEN) float32, from C features to the hidden units; the last row holds the biases.
        output: (HIDDEN + 1,) float32, from the hidden units to the output; the last value is the bias.
    """

    hidden: np.ndarray
    output: np.ndarray

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Log odds of label 1, (...) float64, for features (..., C): what the logistic function would saturate."""
        rows = features.reshape(-1, features.shape[-1])
        hidden = rows @ self.hidden[:-1].astype(np.float64)
        hidden += self.hidden[-1]
        np.maximum(hidden, 0, out=hidden)
        return (hidden @ self.output[:-1].astype(np.float64) + self.output[-1]).reshape(features.shape[:-1])


def fit(features: list[np.ndarray], labels: list[np.ndarray], seeds: list[int], run: Run = one_by_one) -> list[Network]:
    """Trains one network per data set, EPOCHS times over its rows.

    Args:
        features: (n_k, C) of each data set, of any float dtype; all have the same C and at least one row.
        labels: (n_k,) of each data set, 0 or 1.
        seeds: one per data set; draws the initial weights and the batches. A network depends on its own data and seed
            alone, not on the networks that are trained beside it.
        run: trains several stacks of networks at the same time.

    Returns:
        The networks, in the order of the data sets.
    """
    by_size = sorted(range(len(seeds)), key=lambda k: -len(labels[k]))  # networks of equally many steps side by side
    stacks = [by_size[start : start + _STACK] for start in range(0, len(by_size), _STACK)]
    data = [([features[k] for k in stack], [labels[k] for k in stack], [seeds[k] for k in stack]) for stack in stacks]
    trained = [network for stack in run(_fit_stack, data) for network in stack]
    networks = dict(zip(by_size, trained, strict=True))
    return [networks[k] for k in range(len(seeds))]


def _fit_stack(features: list[np.ndarray], labels: list[np.ndarray], seeds: list[int]) -> list[Network]:
    """Trains networks whose data sets come from the largest to the smallest."""
    rngs = [np.random.default_rng(seed) for seed in seeds]
    # The rows of a network side by side: features, 1 for the bias, label.
    rows = [np.column_stack([x, np.ones(len(x)), y]).astype(np.float32) for x, y in zip(features, labels, strict=True)]
    inputs = rows[0].shape[1] - 1
    weights = np.stack([initial_weights(rng, inputs - 1) for rng in rngs])
    optimizer = _Adam(weights.shape)
    steps = np.array([-(-len(of_network) // BATCH) for of_network in rows])
    for _ in range(EPOCHS):
        epoch = np.zeros((len(rows), steps[0] * BATCH, inputs + 1), np.float32)
        for k, (of_network, rng) in enumerate(zip(rows, rngs, strict=True)):
            order = epoch_order(rng, len(of_network))
            np.take(of_network, order, axis=0, out=epoch[k, : len(order)])
        for step in range(steps[0]):
            busy = np.count_nonzero(steps > step)
            batch = epoch[:busy, step * BATCH : (step + 1) * BATCH]
            gradients = _gradients(weights[:busy], batch[..., :-1], batch[..., -1])
            optimizer.update(weights[:busy], gradients)
    return [Network(*map(np.copy, _layers(of_network, inputs))) for of_network in weights]


def initial_weights(rng: np.random.Generator, num_features: int) -> np.ndarray:
    """All weights of a network in one vector, hidden and then output, as `Network` has them: Glorot's uniform draws."""
    hidden = rng.uniform(-1, 1, (num_features + 1) * HIDDEN) * np.sqrt(6 / (num_features + HIDDEN))
    output = rng.uniform(-1, 1, HIDDEN + 1) * np.sqrt(6 / (HIDDEN + 1))
    return np.concatenate([hidden, output]).astype(np.float32)


def epoch_order(rng: np.random.Generator, num_rows: int) -> np.ndarray:
    """The rows of one epoch: all in random order, and then from the first again until the last batch is full."""
    return np.resize(rng.permutation(num_rows), -(-num_rows // BATCH) * BATCH)


def _layers(weights: np.ndarray, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Views of weights (..., P): those of the hidden layer (..., C + 1, HIDDEN) and of the output (..., HIDDEN + 1)."""
    hidden, output = np.split(weights, [inputs * HIDDEN], axis=-1)
    return hidden.reshape(*weights.shape[:-1], inputs, HIDDEN), output


def _gradients(weights: np.ndarray, batch: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gradients (K, P) of the mean log loss and the penalty, on batches (K, BATCH, C + 1) with labels (K, BATCH)."""
    hidden_weights, output_weights = _layers(weights, batch.shape[-1])
    hidden = batch @ hidden_weights
    active = (hidden > 0).astype(np.float32)
    hidden *= active
    # Not a product of a matrix and a vector: BLAS would deal each of these short ones out to all cores.
    log_odds = np.einsum("kbh,kh->kb", hidden, output_weights[:, :-1]) + output_weights[:, -1:]
    errors = (_logistic(log_odds) - labels) / BATCH
    # An error reaches a unit's incoming weights by way of its outgoing weight, and reverse.
    of_active = (batch * errors[..., None]).swapaxes(1, 2) @ active
    gradients = np.empty_like(weights)
    of_hidden, of_output = _layers(gradients, batch.shape[-1])
    np.multiply(of_active, output_weights[:, None, :-1], out=of_hidden)
    of_output[:, :-1] = np.einsum("kch,kch->kh", of_active, hidden_weights)
    of_output[:, -1] = errors.sum(axis=1)
    of_hidden[:, :-1] += np.float32(_L2 / BATCH) * hidden_weights[:, :-1]  # no penalty on biases
    of_output[:, :-1] += np.float32(_L2 / BATCH) * output_weights[:, :-1]
    return gradients


def _logistic(log_odds: np.ndarray) -> np.ndarray:
    """Probabilities of log odds, without overflow."""
    return np.float32(0.5) * np.tanh(np.float32(0.5) * log_odds) + np.float32(0.5)


class _Adam:
    """Adam (Kingma and Ba, 2015) for networks of which the first take at least as many steps as the rest."""

    def __init__(self, shape: tuple[int, ...]):
        self._means, self._squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._steps = np.zeros(shape[0], np.int64)

    def update(self, weights: np.ndarray, gradients: np.ndarray) -> None:
        """Changes weights (K, P) of the first K networks in place."""
        busy = slice(len(weights))
        means, squares, steps = self._means[busy], self._squares[busy], self._steps[busy]
        steps += 1
        means += np.float32(1 - _BETA_1) * (gradients - means)
        squares += np.float32(1 - _BETA_2) * (np.square(gradients) - squares)
        rates = _RATE * np.sqrt(1 - _BETA_2**steps) / (1 - _BETA_1**steps)
        weights -= rates[:, None].astype(np.float32) * means / (np.sqrt(squares) + np.float32(_EPSILON))
