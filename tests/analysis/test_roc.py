"""The packed, sorted ROC against scikit-learn and against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from mia_tf.analysis import roc as roc_module
from mia_tf.analysis.roc import Pool

LEVELS = np.array([0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 1.0])
pairs = st.lists(st.tuples(st.integers(-4, 4), st.booleans(), st.integers(1, 5)), min_size=2, max_size=40).filter(
    lambda drawn: len({member for _, member, _ in drawn}) == 2
)


def make_roc(scores, member, sizes=None, levels=LEVELS):
    pool = Pool(len(scores))
    half = len(scores) // 2
    for part in (slice(None, half), slice(half, None)):
        pool.add(np.float32(scores[part]), member[part], None if sizes is None else sizes[part])
    return pool.roc(levels)


def counted(scores, member, weights, levels):
    """AUROC, advantage, TPR and threshold at levels, by comparing every pair and trying every threshold."""
    ins, outs = scores[member], scores[~member]
    products = np.outer(weights[member], weights[~member])
    better = (ins[:, None] > outs) + 0.5 * (ins[:, None] == outs)
    thresholds = np.unique(scores)[::-1]
    rates = np.array(
        [[weights[side & (scores >= t)].sum() / weights[side].sum() for side in (~member, member)] for t in thresholds]
    )
    rates = np.vstack([[0, 0], rates])
    at = [max(np.flatnonzero(rates[:, 0] <= level + 1e-12)) for level in levels]
    return (better * products).sum() / products.sum(), (rates[:, 1] - rates[:, 0]).max(), rates[at], at


@given(pairs)
def test_ties_and_weights_as_by_counting(drawn):
    scores, member, sizes = (np.array(column) for column in zip(*drawn, strict=True))
    made = make_roc(scores, member, sizes)
    auroc, advantage, rates, _ = counted(scores, member, 1 / sizes, LEVELS)
    np.testing.assert_allclose(made.auroc, auroc, rtol=1e-12)
    np.testing.assert_allclose(made.advantage, advantage, atol=1e-12)
    np.testing.assert_allclose(np.column_stack([made.fpr, made.tpr]), rates, atol=1e-12)


@pytest.mark.parametrize("decimals", [0, 2, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_as_scikit_learn(decimals, weighted):
    rng = np.random.default_rng(decimals)
    member = rng.random(3000) < 0.3
    scores = np.round(rng.normal(size=3000) + member, decimals).astype(np.float32)
    sizes = rng.integers(1, 9, 3000) if weighted else np.ones(3000, int)
    made = make_roc(scores, member, sizes)
    np.testing.assert_allclose(made.auroc, roc_auc_score(member, scores, sample_weight=1 / sizes), rtol=1e-12)
    fpr, tpr, thresholds = roc_curve(member, scores, sample_weight=1 / sizes, drop_intermediate=False)
    at = np.searchsorted(fpr, LEVELS + 1e-12, side="right") - 1
    np.testing.assert_allclose(made.tpr, tpr[at], atol=1e-12)
    np.testing.assert_allclose(made.fpr, fpr[at], atol=1e-12)
    np.testing.assert_array_equal(made.threshold, thresholds[at])
    np.testing.assert_allclose(made.advantage, (tpr - fpr).max(), rtol=1e-12)


@pytest.mark.parametrize("few", [0, 1000], ids=["made twice", "kept between the passes"])
@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
def test_chunks_do_not_cut_ties(monkeypatch, chunk, few):
    rng = np.random.default_rng(3)
    member = rng.random(500) < 0.5
    scores = np.round(rng.normal(size=500) + member, 1)
    whole = make_roc(scores, member)
    monkeypatch.setattr(roc_module, "_CHUNK", chunk)
    monkeypatch.setattr(roc_module, "_FEW_PAIRS", few)
    parts = make_roc(scores, member)
    np.testing.assert_allclose(parts.auroc, whole.auroc, rtol=1e-12)
    np.testing.assert_array_equal(parts.tpr, whole.tpr)
    np.testing.assert_array_equal(parts.threshold, whole.threshold)


def test_a_false_positive_rate_is_never_exceeded_and_a_whole_number_of_pairs_is_allowed():
    # 1,000 non-members 0..999 and members between them: 0.1% allows exactly one false positive.
    nonmembers = np.arange(1000.0)
    members = np.array([999.5, 998.5, 997.5, 0.5])
    scores = np.concatenate([nonmembers, members])
    member = np.arange(1004) >= 1000
    made = make_roc(scores, member, levels=np.array([0.0, 0.0009, 0.001, 0.002]))
    np.testing.assert_array_equal(made.tpr, [0.25, 0.25, 0.5, 0.75])
    np.testing.assert_array_equal(made.fpr, [0, 0, 0.001, 0.002])


def test_all_equal_scores_are_chance_and_zeros_of_both_signs_are_equal():
    member = np.arange(10) % 2 == 0
    for scores in (np.full(10, 3.0), np.where(member, 0.0, -0.0)):
        made = make_roc(scores, member, levels=np.array([0.5, 1.0]))
        assert (made.auroc, made.advantage) == (0.5, 0.0)
        assert made.tpr.tolist() == [0.0, 1.0]
        assert made.threshold[0] == np.inf


def test_scores_of_any_size_and_sign_keep_their_order():
    largest = float(np.finfo(np.float32).max)
    scores = np.array([-np.inf, -largest, -1.0, -1e-40, 0.0, 1e-40, 1.0, largest, np.inf])
    for cut in range(1, len(scores)):
        assert make_roc(scores, np.arange(len(scores)) >= cut).auroc == 1.0
        assert make_roc(scores, np.arange(len(scores)) < cut).auroc == 0.0


@given(pairs)
def test_a_rising_transform_changes_nothing_and_a_falling_one_mirrors_the_area(drawn):
    scores, member, sizes = (np.array(column) for column in zip(*drawn, strict=True))
    plain = make_roc(scores, member, sizes)
    risen = make_roc(np.exp(scores / 2), member, sizes)
    assert (risen.auroc, risen.advantage) == (plain.auroc, plain.advantage)
    np.testing.assert_array_equal(risen.tpr, plain.tpr)
    np.testing.assert_allclose(make_roc(-scores, member, sizes).auroc, 1 - plain.auroc, atol=1e-12)
