"""Attacks on labels alone: against their definition, and in closed form."""

import numpy as np
import pytest
from attack_helpers import RIGHT, left_for, make_block, membership, pooled, run
from scipy.stats import binom

from mia_tf.attacks import attack_classes
from mia_tf.shadow.blocks import Block

NAMES = ["label_only", "label_only_gap"]


def as_phi(correct):
    """Phi (N, Q, M) of answers that are correct as given, bool."""
    return np.where(correct, RIGHT + 1, RIGHT - 1)


def coin_views(rate_in, rate_out, queries, num_models, num_examples, seed=0):
    """Independent views, each correct at the rate of its side; keep."""
    rng = np.random.default_rng(seed)
    keep = membership(rng, num_examples, num_models)
    rates = np.where(keep, rate_in, rate_out)[:, None]
    return as_phi(rng.random((num_examples, queries, num_models)) < rates), keep


def test_the_score_is_the_ratio_of_refitting_without_the_target():
    rng = np.random.default_rng(1)
    keep = membership(rng, 10, 11, 0.6)
    correct = rng.random((10, 4, 11)) < 0.4 + 0.4 * keep[:, None]
    share = correct.mean(axis=1)
    expected = np.empty(keep.shape)
    for target in range(11):
        left = [left_for(keep, example, target) for example in range(10)]
        means = np.array([[share[example, side].mean() for side in left[example]] for example in range(10)])
        usual = (means.sum(axis=0) + 0.5) / (10 + 1)
        for example in range(10):
            counts = np.array([len(side) for side in left[example]])
            rates = (counts * means[example] + usual) / (counts + 1)
            ratios = share[example, target] * np.log(rates) + (1 - share[example, target]) * np.log(1 - rates)
            expected[example, target] = ratios[0] - ratios[1]
    np.testing.assert_allclose(run("label_only", as_phi(correct), keep), expected, rtol=1e-10)
    np.testing.assert_allclose(run("label_only_gap", as_phi(correct), keep), share)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("queries", [1, 2, 18])
def test_independent_views_give_the_area_of_two_binomials(name, queries):
    """P(more correct views) + P(as many) / 2, with the same two rates for all examples."""
    rate_in, rate_out = 0.8, 0.6
    counts = np.arange(queries + 1)
    members, others = (binom.pmf(counts, queries, rate) for rate in (rate_in, rate_out))
    expected = members @ (binom.cdf(counts, queries, rate_out) - others / 2)
    phi, keep = coin_views(rate_in, rate_out, queries, 200, 60)
    value, low, high = pooled(run(name, phi, keep), keep).metrics["auroc"]
    # Three standard errors, and what fits on 99 models per side lose against the true rates.
    assert abs(value - expected) < 0.75 * (high - low) + 0.003
    assert high - low < 0.03


def test_an_examples_own_distribution_shows_what_one_threshold_for_all_does_not():
    """Half of the examples are easy, right in any case; the others are right with members alone: 0.75 against 1."""
    rng = np.random.default_rng(3)
    keep = membership(rng, 400, 16)
    easy = np.arange(400) < 200
    phi = as_phi((easy[:, None] | keep)[:, None])
    values = {name: pooled(run(name, phi, keep), keep).metrics for name in NAMES}
    # The easy examples are one tie in both; the gap attack has the others' members in it too.
    assert values["label_only_gap"]["auroc"][0] == pytest.approx(0.75)
    assert values["label_only"]["auroc"][0] == pytest.approx(0.875)
    assert values["label_only_gap"]["tpr_at_fpr_0.01"][0] == 0
    assert values["label_only"]["tpr_at_fpr_0.01"][0] == pytest.approx(0.5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("queries", [1, 18])
@pytest.mark.parametrize("num_models", [8, 64])
def test_views_that_agree_give_no_advantage_on_noise(name, queries, num_models):
    """As in the conformance tests: at most twice the width of a 95% interval."""
    rng = np.random.default_rng([queries, num_models])
    keep = membership(rng, 40_000 // num_models, num_models)
    phi = rng.normal(size=(len(keep), queries, num_models)) + 2 * rng.normal(size=(len(keep), 1, num_models))
    phi += 2 * rng.normal(size=(len(keep), 1, 1))
    value, low, high = pooled(run(name, phi, keep), keep).metrics["auroc"]
    assert abs(value - 0.5) < high - low < 0.03


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_seen_but_whether_the_largest_logit_is_the_labels(name):
    """Other logits with the same largest one, and another phi, give the same scores to the last digit."""
    rng = np.random.default_rng(4)
    keep = membership(rng, 20, 8)
    labels = rng.integers(0, 3, 20)
    answers = rng.normal(size=(8, 20, 5, 3)).astype(np.float32)
    votes = np.float32(np.eye(3)[answers.argmax(axis=-1)])

    def scores(logits, phi):
        block = Block(0, labels, keep, phi, lambda: np.moveaxis(logits, 0, 2))
        attack = attack_classes()[name](8, np.random.default_rng(0))
        attack.observe(block)
        attack.fit()
        return attack.score(block)

    seen = scores(answers, rng.normal(size=(20, 5, 8)))
    np.testing.assert_array_equal(seen, scores(votes, np.full((20, 5, 8), np.nan)))
    assert len(np.unique(seen)) > 3


def test_a_model_that_is_right_where_all_others_are_wrong_has_a_finite_score():
    keep = np.arange(12) < 6
    correct = np.zeros((1, 3, 12), bool)
    correct[..., 0] = True
    block = make_block(as_phi(correct), keep[None])
    attack = attack_classes()["label_only"](12, np.random.default_rng(0))
    attack.observe(block)
    attack.fit()
    assert np.isfinite(attack.score(block)).all()
