"""scikit-learn's network, given the attack's initial weights and batches one by one."""

import numpy as np
from sklearn.neural_network import MLPClassifier

from mia_tf.attacks import networks


def slow_network(features, labels, seed):
    """The MLPClassifier, in float64, that `networks.fit` should train on these rows."""
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    rng = np.random.default_rng(seed)
    weights = networks.initial_weights(rng, features.shape[1])
    hidden = weights[: -networks.HIDDEN - 1].reshape(-1, networks.HIDDEN)
    output = weights[-networks.HIDDEN - 1 :]
    network = MLPClassifier((networks.HIDDEN,))
    network.partial_fit(features[:2], labels[:2], classes=[0, 1])  # builds its layers, whose weights are now replaced
    network.coefs_ = [hidden[:-1].astype(np.float64), output[:-1, None].astype(np.float64)]
    network.intercepts_ = [hidden[-1].astype(np.float64), output[-1:].astype(np.float64)]
    del network._optimizer
    for _ in range(networks.EPOCHS):
        order = networks.epoch_order(rng, len(labels))
        for batch in np.split(order, len(order) // networks.BATCH):
            network.partial_fit(features[batch], labels[batch])
    return network
