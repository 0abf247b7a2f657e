"""The attack against scikit-learn's networks on rows gathered one by one, and what its networks may not see."""

import numpy as np
import pytest
from attack_helpers import membership, pooled
from network_oracle import slow_network

from mia_tf.attacks import networks, shokri
from mia_tf.attacks.shokri import Shokri
from mia_tf.shadow import signals
from mia_tf.shadow.blocks import Block


def make_block(logits, labels, keep, rows=slice(None)):
    """A block of logits (N, Q, M, C)."""
    phi = signals.phi(logits, labels[:, None, None])[rows]
    return Block(rows.start or 0, labels[rows], keep[rows], phi, lambda: logits[rows])


def observed(logits, labels, keep, rows_at_once=None, seed=0):
    """The attack, having observed all examples."""
    attack = Shokri(keep.shape[1], np.random.default_rng(seed))
    for start in range(0, len(keep), rows_at_once or len(keep)):
        attack.observe(make_block(logits, labels, keep, slice(start, start + (rows_at_once or len(keep)))))
    return attack


def attacked(*arguments, **options):
    """The attack, having observed all examples, and its (N, M) scores."""
    attack = observed(*arguments, **options)
    attack.fit()
    return attack, attack.score(make_block(*arguments[:3]))


@pytest.fixture(scope="module")
def recording():
    """Logits (N, Q, M, C) float32 that favour the label more for members, labels, keep."""
    rng = np.random.default_rng(0)
    keep, labels = membership(rng, 60, 10), np.arange(60) % 2
    own = np.arange(3) == labels[:, None, None, None]
    logits = rng.normal(size=(60, 2, 10, 3)) + own * (1 + 2 * keep[:, None, :, None])
    return logits.astype(np.float32), labels, keep


def slow_scores(logits, labels, keep, seed):
    """(N, M) scores, with the attack's draws of folds and seeds."""
    rng = np.random.default_rng(seed)
    folds = np.array_split(rng.permutation(keep.shape[1]), 2)
    scores = np.empty(keep.shape)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(axis=-1, keepdims=True)
    for label in (0, 1):
        for fold, network_seed in zip((0, 1), rng.integers(2**32, size=2), strict=True):
            rows = []
            for x in np.flatnonzero(labels == label):
                shadow = sorted(folds[1 - fold])
                members, others = ([m for m in shadow if keep[x, m] == side] for side in (True, False))
                for pair in zip(members, others, strict=False):  # what is left over on the longer side is not used
                    for model in pair:
                        rows += [(bool(keep[x, model]), *p[x, q, model][::-1]) for q in range(p.shape[1])]
            rows = sorted(rows, key=lambda row: (row[0], row[1:]))
            network = slow_network([row[:0:-1] for row in rows], [row[0] for row in rows], network_seed)
            for x in np.flatnonzero(labels == label):
                for target in folds[fold]:
                    out, member = np.log(network.predict_proba(p[x, :, target])).T
                    scores[x, target] = np.mean(member - out)
    return scores


def test_the_scores_are_those_of_fitting_every_network_afresh(recording, monkeypatch):
    monkeypatch.setattr(networks, "EPOCHS", 10)
    # scikit-learn computes in float64, the attack's networks in float32.
    np.testing.assert_allclose(attacked(*recording, seed=3)[1], slow_scores(*recording, seed=3), atol=1e-4)


def test_a_target_touches_no_weight_of_its_networks(recording):
    logits, labels, keep = recording
    before, _ = attacked(*recording)
    for target in (0, 5):
        changed = logits.copy()
        changed[:, :, target] += np.arange(3)
        after, _ = attacked(changed, labels, keep)
        fold = next(fold for fold, targets in enumerate(before._folds) if target in targets)
        for label in (0, 1):
            own, other = (attack._networks[fold, label] for attack in (before, after))
            np.testing.assert_array_equal(own.hidden, other.hidden)
            np.testing.assert_array_equal(own.output, other.output)
            changed_layers = [attack._networks[1 - fold, label].hidden for attack in (before, after)]
            assert (changed_layers[0] != changed_layers[1]).any()


def test_classes_have_networks_of_their_own():
    # In class 0 members are surer than others, in class 1 less sure: no single network could know.
    rng = np.random.default_rng(1)
    keep, labels = membership(rng, 400, 12), np.arange(400) % 2
    surer = np.where(labels[:, None] == 0, keep, ~keep)
    logits = np.zeros((400, 1, 12, 3), np.float32)
    logits[np.arange(400)[:, None], 0, np.arange(12), labels[:, None]] = rng.normal(size=keep.shape) + 4 * surer
    scores = attacked(logits, labels, keep)[1]
    for label in (0, 1):  # two unit normals 4 apart give Phi(4 / sqrt 2) = 0.998
        assert pooled(scores[labels == label], keep[labels == label]).metrics["auroc"][0] > 0.98


def test_rows_come_in_pairs_of_the_same_example(recording):
    _, labels, keep = recording
    # Logits that say which example, model and query they are of.
    logits = np.stack(np.meshgrid(np.arange(60), np.arange(2), np.arange(10), indexing="ij"), axis=-1)
    logits = logits[..., [0, 2, 1]].astype(np.float32)
    attack = observed(logits, labels, keep)
    seen = 0
    for (fold, label), pairs in attack._pairs.items():
        inside, outside = np.moveaxis(pairs.logits, 1, 0)
        examples, models = inside[:, 0, 0].astype(int), [side[:, 0, 1].astype(int) for side in (inside, outside)]
        np.testing.assert_array_equal(inside[..., 0], outside[..., 0])
        np.testing.assert_array_equal(inside[..., 2], np.broadcast_to([0, 1], inside.shape[:2]))
        assert (labels[examples] == label).all()
        assert keep[examples, models[0]].all() and not keep[examples, models[1]].any()
        assert not set(np.concatenate(models)) & set(attack._folds[fold])
        assert all(len(set(zip(examples, side, strict=True))) == len(examples) for side in models)
        seen += len(examples)
    expected = 0
    for targets in attack._folds:
        shadow = np.delete(keep, targets, axis=1)
        expected += np.minimum(shadow.sum(axis=1), (~shadow).sum(axis=1)).sum()
    assert seen == expected


def test_capped_rows_are_drawn_evenly_by_the_seed_and_not_by_the_blocks(monkeypatch):
    monkeypatch.setattr(shokri, "MAX_ROWS", 400)
    rng = np.random.default_rng(2)
    keep, labels = membership(rng, 2000, 8), np.zeros(2000, np.int64)
    logits = rng.normal(size=(2000, 1, 8, 3)).astype(np.float32)
    logits[..., 0] = np.arange(2000)[:, None, None]
    _, scores = attacked(logits, labels, keep)
    _, scores_cut = attacked(logits, labels, keep, 77)
    np.testing.assert_allclose(scores, scores_cut, rtol=1e-8)
    whole, cut = observed(logits, labels, keep), observed(logits, labels, keep, 77)
    for fold in (0, 1):
        drawn, other = (attack._pairs[fold, 0].logits for attack in (whole, cut))
        assert drawn.shape == (200, 2, 1, 3)
        np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(other, axis=0))
        # The mean place of 200 draws has a standard error of 2000 / sqrt(12 * 200) = 41: four of them.
        assert abs(drawn[..., 0].mean() - 1000) < 164
    another = observed(logits, labels, keep, seed=1)
    assert not np.array_equal(np.sort(another._pairs[0, 0].logits, axis=0), np.sort(whole._pairs[0, 0].logits, axis=0))


def test_the_rows_of_many_classes_fit_in_memory(monkeypatch, recording):
    logits, labels, keep = recording
    most = 2 * 3 * 3 * 40  # 40 rows of three values for each of three classes in two folds
    monkeypatch.setattr(shokri, "MOST_VALUES", most)
    attack = observed(logits, labels, keep)
    assert {pairs.logits.shape for pairs in attack._pairs.values()} == {(10, 2, 2, 3)}
    assert sum(pairs.logits.size for pairs in attack._pairs.values()) <= most
    attack.fit()
    assert np.isfinite(attack.score(make_block(logits, labels, keep))).all()


def test_a_class_that_cannot_be_paired_is_not_scored_for_any_target(recording):
    logits, labels, keep = recording
    keep = keep.copy()
    keep[labels == 1] = True
    scores = attacked(logits, labels, keep)[1]
    np.testing.assert_array_equal(np.isnan(scores), np.broadcast_to(labels[:, None] == 1, scores.shape))
