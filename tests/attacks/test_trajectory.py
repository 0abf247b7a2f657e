"""Attacks on several epochs: against refitting, in closed form, and against those on one epoch."""

from dataclasses import replace

import numpy as np
import pytest
from attack_helpers import left_for, make_block, membership
from refusals import refuses
from scipy.special import ndtr
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score
from toys import make_dataset

import mia_tf
from mia_tf.attacks import attack_classes, trajectory
from mia_tf.records import ModelRecord
from mia_tf.store import Store

NAMES = {"trajectory_lira": "lira_online_fixed", "trajectory_rmia": "rmia"}
"""Attack on several epochs -> its like on one."""


def scores(name, epochs, keep):
    """(N, M) scores of an attack on phi (E, N, Q, M)."""
    block = replace(make_block(epochs[-1], keep), earlier=epochs[:-1])
    attack = attack_classes()[name](keep.shape[1], np.random.default_rng(0))
    attack.observe(block)
    attack.fit()
    return attack.score(block)


def test_rmia_takes_epochs_as_it_takes_queries():
    rng = np.random.default_rng(1)
    keep = membership(rng, 40, 12)
    epochs = rng.normal(size=(3, 40, 1, 12)) + keep[:, None]
    of_queries = scores("rmia", epochs.transpose(2, 1, 0, 3), keep)
    np.testing.assert_allclose(scores("trajectory_rmia", epochs, keep), of_queries, rtol=1e-9, atol=1e-9)


def test_pieces_of_a_block_have_their_own_examples_at_every_epoch(monkeypatch):
    monkeypatch.setattr("mia_tf.shadow.blocks._PIECE", 8 * 3)
    phi = np.random.default_rng(6).normal(size=(10, 1, 8))
    block = make_block(phi, phi[:, 0] > 0)
    pieces = list(block.pieces())
    assert len(pieces) == 4
    for part, piece in pieces:
        np.testing.assert_array_equal(piece.trajectory, block.trajectory[:, part])
        np.testing.assert_array_equal(piece.x, block.x[part])


def test_the_score_is_the_ratio_of_normals_refitted_without_the_target():
    rng = np.random.default_rng(2)
    keep = membership(rng, 25, 11, 0.6)
    epochs = rng.normal(size=(3, 25, 2, 11)).cumsum(axis=0) + 2 * rng.normal(size=(25, 1, 1)) * keep[:, None]
    measured = scores("trajectory_lira", epochs, keep)
    target = 4
    sides = [left_for(keep, example, target) for example in range(25)]
    counts = np.array([len(models) for models in sides[0]])  # 6 models IN and 5 OUT, less one each
    means = np.array([[epochs[:, k][..., models].mean(axis=-1) for models in sides[k]] for k in range(25)])
    covariances = []
    for side in (0, 1):
        deviations = [epochs[:, k][..., sides[k][side]] - means[k, side][..., None] for k in range(25)]
        deviations = np.concatenate([one.reshape(3, -1) for one in deviations], axis=1)
        covariance = deviations @ deviations.T / (2 * 25 * (counts[side] - 1))
        covariances.append(np.where(np.eye(3) > 0, covariance, (1 - trajectory.INDEPENDENT) * covariance))
    differences = (means[:, 0] - means[:, 1]).transpose(1, 0, 2).reshape(3, -1)
    usual = differences.mean(axis=1)
    by_chance = covariances[0] / counts[0] + covariances[1] / counts[1]
    values, vectors = np.linalg.eigh(np.cov(differences, ddof=0) - by_chance)
    assert values.min() < 0 < values.max()
    true = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
    kept = true @ np.linalg.inv(true + by_chance)
    share = counts[0] / counts.sum()
    for example in range(25):
        expected = 0.0
        for query in range(2):
            own = means[example, :, :, query]
            difference = usual + kept @ (own[0] - own[1] - usual)
            centre = share * own[0] + (1 - share) * own[1]
            seen = epochs[:, example, query, target]
            for place, covariance, sign in ((1 - share, covariances[0], 1), (-share, covariances[1], -1)):
                expected += sign * multivariate_normal(centre + place * difference, covariance).logpdf(seen) / 2
        assert measured[example, target] == pytest.approx(expected, rel=1e-9)


def test_independent_epochs_add_up_and_a_repeated_one_adds_nothing():
    """Two normals d apart at each of E epochs have the area Phi(d sqrt(E / 2))."""
    rng = np.random.default_rng(3)
    keep = membership(rng, 200, 64)
    epochs = rng.normal(size=(4, 200, 1, 64)) + 0.7 * keep[:, None]
    repeated = np.repeat(epochs[-1:], 4, axis=0)
    for seen, times in ((epochs, 4), (repeated, 1)):
        value = roc_auc_score(keep.ravel(), scores("trajectory_lira", seen, keep).ravel())
        # Three standard errors of 6,400 pairs per side, and the loss of fits on 31 models per side.
        assert abs(value - ndtr(0.7 * np.sqrt(times / 2))) < 0.015 + 0.02


def test_epochs_that_show_nothing_take_little_from_the_one_that_does():
    """With means as they are measured, ten such epochs would bring the area from 0.92 to 0.77."""
    rng = np.random.default_rng(5)
    keep = membership(rng, 400, 8)
    epochs = rng.normal(size=(11, 400, 1, 8))
    epochs[-1] += 2 * keep[:, None]
    value = roc_auc_score(keep.ravel(), scores("trajectory_lira", epochs, keep).ravel())
    assert value > ndtr(2 / np.sqrt(2)) - 0.06


def test_what_only_an_earlier_epoch_shows_is_seen():
    rng = np.random.default_rng(4)
    keep = membership(rng, 100, 16)
    epochs = rng.normal(size=(2, 100, 1, 16))
    epochs[0] += 3 * keep[:, None]
    for name, other in NAMES.items():
        assert roc_auc_score(keep.ravel(), scores(name, epochs, keep).ravel()) > 0.75, name
        assert roc_auc_score(keep.ravel(), scores(other, epochs, keep).ravel()) < 0.6, other


# ---- the record


@pytest.fixture
def logdir(tmp_path):
    """Six models with logits of epochs 1, 2 and 4; one has epoch 3 too."""
    store, rng = Store.create(tmp_path / "run", {}, make_dataset), np.random.default_rng(1)
    for index in range(6):
        logits = rng.normal(size=(4, 64, 1, 2, 4)).astype(np.float32)
        store.write(ModelRecord(index, rng.random(64) < 0.5, logits[0], 4, {"num_experiments": 6}, {}))
    for model in store.models():
        for epoch in (1, 2, *([3] if model.index == 5 else [])):
            store.write_logits(model, epoch, rng.normal(size=(64, 1, 2, 4)).astype(np.float32))
    return tmp_path / "run"


def test_all_epochs_that_all_models_have(logdir):
    shadows = mia_tf.ShadowModels.open(logdir, epoch="all")
    assert [record.models[0].epoch for record in shadows.earlier] == [1, 2] and shadows.models[0].epoch == 4
    some = shadows.subset([3, 1]).in_memory()
    assert [record.models[0].epoch for record in some.earlier] == [1, 2]
    np.testing.assert_array_equal(some.earlier[1].read_phi(0), mia_tf.ShadowModels.open(logdir, epoch=2).read_phi(3))
    audit = mia_tf.audit(shadows, attacks=["yeom", "trajectory_lira"], fpr=(0.1,))
    last = mia_tf.audit(mia_tf.ShadowModels.open(logdir), attacks=["yeom"], fpr=(0.1,))
    np.testing.assert_array_equal(audit.scores("yeom"), last.scores("yeom"))
    epochs = np.stack([np.stack([one.read_phi(k) for k in range(6)], axis=-1) for one in (*shadows.earlier, shadows)])
    expected = scores("trajectory_lira", epochs, shadows.members.T)
    np.testing.assert_allclose(audit.scores("trajectory_lira"), expected, rtol=1e-5)


def test_files_of_large_runs_hold_the_epochs_too(logdir, monkeypatch):
    shadows = mia_tf.ShadowModels.open(logdir, epoch="all")
    settings = {"attacks": ["trajectory_lira"], "fpr": (0.1,)}
    in_memory = mia_tf.audit(shadows, **settings)
    monkeypatch.setattr("mia_tf.analysis.study.LARGEST_IN_MEMORY", 0)
    assert mia_tf.audit(shadows, **settings) == in_memory


def test_what_lacks_epochs_is_refused_in_one_line(logdir, tmp_path):
    with refuses("attacks", "trajectory_lira", 'epoch="all"'):
        mia_tf.audit(mia_tf.ShadowModels.open(logdir), attacks=["yeom", "trajectory_lira"])
    store = Store.open(logdir)
    store.write_logits(store.models()[2], 2, np.zeros((64, 1, 1, 4), np.float32))
    with refuses("logdir"):
        mia_tf.ShadowModels.open(logdir, epoch="all")
    for epoch in (1, 2):
        for model in store.models():
            model.logits()[epoch].unlink()
    with refuses("epoch", "all; all have 4", "save_steps"):
        mia_tf.ShadowModels.open(logdir, epoch="all")
