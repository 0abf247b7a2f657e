"""Entropies against exact arithmetic, thresholds against a search over all records of the other models."""

import decimal
from decimal import Decimal

import numpy as np
import pytest
from attack_helpers import membership
from hypothesis import given, settings
from hypothesis import strategies as st

from mia_tf.attacks import attack_classes
from mia_tf.attacks.song import entropy, modified_entropy
from mia_tf.shadow import signals
from mia_tf.shadow.blocks import Block

EXACT = decimal.Context(prec=2500)
"""Digits enough for 1 - p at a margin of 2,000 nats."""


def exact_entropies(logits, label):
    """Plain and modified entropy in decimals."""
    with decimal.localcontext(EXACT):
        odds = [(Decimal(float(z)) - Decimal(float(max(logits)))).exp(decimal.Context(prec=30)) for z in logits]
        total = sum(odds)
        p = [each / total for each in odds]

        def log(x):
            return x.ln(decimal.Context(prec=30))

        plain = -sum(each * log(each) for each in p)
        modified = -(1 - p[label]) * log(p[label])
        modified -= sum(each * log(sum(odds[:i] + odds[i + 1 :]) / total) for i, each in enumerate(p) if i != label)
        return float(plain), float(modified)


@settings(max_examples=60, deadline=None)
@given(
    logits=st.lists(st.floats(-300, 300, width=32), min_size=2, max_size=5),
    scale=st.sampled_from([0.01, 1, 3]),
    label=st.integers(0, 1),
)
def test_entropies_are_exact_at_any_logits(logits, scale, label):
    logits = (np.array(logits) * scale).astype(np.float32)
    plain, modified = exact_entropies(logits, label)
    assert entropy(logits[None]) == pytest.approx(plain, rel=1e-10, abs=1e-300)
    assert modified_entropy(logits[None], label) == pytest.approx(modified, rel=1e-10, abs=1e-300)


def test_surely_wrong_has_no_entropy_but_all_the_modified_entropy():
    logits = np.array([[0.0, 1e6, 0.0], [1e6, 0.0, 0.0]])
    assert entropy(logits).tolist() == [0, 0]
    # -(1 - p_y) log p_y and -p_i log(1 - p_i) are both the margin, less log 2 for the two others of the latter.
    np.testing.assert_allclose(modified_entropy(logits, 0), [2e6 - np.log(2), 0], rtol=1e-15)


def make_labelled_block(logits, labels, keep):
    """A block of logits (n, Q, M, C)."""
    phi = signals.phi(logits, labels[:, None, None])
    return Block(0, labels, keep, phi, lambda: logits)


def slow_scores(values, labels, keep):
    """(N, M) thresholds less entropies (N, M), every threshold tried on all records of the other models."""
    scores = np.empty(keep.shape)
    for target in range(keep.shape[1]):
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            shadow = [m for m in range(keep.shape[1]) if m != target]
            records = values[np.ix_(rows, shadow)]
            member = keep[np.ix_(rows, shadow)]
            best = -1
            for exponent in range(-320, 81):
                called = records < 2 ** (exponent / 8)
                advantage = called[member].mean() - called[~member].mean()
                if advantage > best:
                    best, threshold = advantage, 2 ** (exponent / 8)
            scores[rows, target] = threshold - values[rows, target]
    return scores


@pytest.mark.parametrize("name", ["song", "song_entropy"])
def test_the_scores_are_those_of_searching_the_threshold_without_the_target(name):
    rng = np.random.default_rng(0)
    keep, labels = membership(rng, 40, 9), rng.integers(0, 3, 40)
    own = np.arange(4) == labels[:, None, None, None]
    logits = rng.normal(size=(40, 2, 9, 4)) * 2 + 2 * own * keep[:, None, :, None]
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    terms = np.where(own, (1 - p) * np.log(p), p * np.log(1 - p)) if name == "song" else p * np.log(p)
    values = -terms.sum(axis=-1).mean(axis=1)
    attack = attack_classes()[name](9, np.random.default_rng(0))
    for rows in (slice(0, 15), slice(15, 40)):
        attack.observe(make_labelled_block(logits[rows], labels[rows], keep[rows]))
    attack.fit()
    scores = attack.score(make_labelled_block(logits, labels, keep))
    np.testing.assert_allclose(scores, slow_scores(values, labels, keep), rtol=1e-10, atol=1e-10)


def test_classes_have_their_own_thresholds_and_positive_scores_are_members():
    # Members of class 1 are as sure as non-members of class 0: no threshold for both would do.
    keep = membership(np.random.default_rng(1), 100, 8)
    labels = np.arange(100) % 2
    sure = 2 + 4 * keep - 4 * labels[:, None] + np.random.default_rng(2).uniform(-1, 1, size=keep.shape)
    logits = np.zeros((100, 1, 8, 2))
    logits[np.arange(100)[:, None], 0, np.arange(8), labels[:, None]] = sure
    attack = attack_classes()["song"](8, np.random.default_rng(0))
    attack.observe(make_labelled_block(logits, labels, keep))
    attack.fit()
    scores = attack.score(make_labelled_block(logits, labels, keep))
    # The threshold fits the other models without error, and the target with hardly one.
    assert ((scores > 0) == keep).mean() > 0.99


def test_a_class_without_members_is_not_scored_for_any_target():
    rng = np.random.default_rng(3)
    keep, labels = membership(rng, 20, 8), np.arange(20) % 2
    keep[labels == 1] = np.arange(8) == 0
    logits = rng.normal(size=(20, 1, 8, 3))
    attack = attack_classes()["song"](8, np.random.default_rng(0))
    attack.observe(make_labelled_block(logits, labels, keep))
    attack.fit()
    scores = attack.score(make_labelled_block(logits, labels, keep))
    np.testing.assert_array_equal(np.isnan(scores), np.broadcast_to(labels[:, None] == 1, scores.shape))
