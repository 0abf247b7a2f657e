"""The stacked networks against scikit-learn's, one by one."""

import numpy as np
import pytest
from network_oracle import slow_network

from mia_tf.attacks import networks

SIZES = (450, 60, 200)
SEEDS = [3, 4, 5]


@pytest.fixture(scope="module")
def data():
    """Features and labels of data sets of these sizes: probabilities of three classes, surer for label 1."""
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, 2, size) for size in SIZES]
    return [rng.dirichlet([1, 1, 1], len(y)) ** (1 + y[:, None]) for y in labels], labels


@pytest.fixture(scope="module")
def trained(data):
    return networks.fit(*data, SEEDS)


def test_every_network_is_scikit_learns(data, trained):
    rows = np.random.default_rng(1).dirichlet([1, 1, 1], size=(5, 4))
    for network, features, labels, seed in zip(trained, *data, SEEDS, strict=True):
        slow = slow_network(features, labels, seed)
        out, member = np.log(slow.predict_proba(rows.reshape(-1, 3))).T
        log_odds = network.log_odds(rows)
        assert log_odds.shape == (5, 4)
        assert log_odds.dtype == np.float64
        np.testing.assert_allclose(log_odds.ravel(), member - out, atol=1e-4)
        assert np.ptp(member - out) > 0.05


def test_a_network_does_not_depend_on_those_beside_it(data, trained, monkeypatch):
    monkeypatch.setattr(networks, "_STACK", 2)
    features, labels = data
    order = [2, 0, 1]
    others = networks.fit([features[k] for k in order], [labels[k] for k in order], [SEEDS[k] for k in order])
    for k, network in zip(order, others, strict=True):
        np.testing.assert_array_equal(network.hidden, trained[k].hidden)
        np.testing.assert_array_equal(network.output, trained[k].output)


def test_another_seed_is_another_network(data, trained):
    features, labels = data
    (other,) = networks.fit(features[:1], labels[:1], [7])
    assert (other.hidden != trained[0].hidden).mean() > 0.9


def test_an_epoch_has_every_row_and_fills_its_last_batch():
    order = networks.epoch_order(np.random.default_rng(0), 450)
    assert len(order) == 600
    assert sorted(order[:450]) == list(range(450))
    np.testing.assert_array_equal(order[450:], order[:150])
    assert (np.bincount(networks.epoch_order(np.random.default_rng(0), 50)) == 4).all()


def test_log_odds_do_not_saturate(trained):
    sure = networks.Network(trained[0].hidden, trained[0].output + np.float32([0] * networks.HIDDEN + [1000]))
    rows = np.random.default_rng(1).dirichlet([1, 1, 1], size=20)
    assert len(np.unique(sure.log_odds(rows))) == 20
