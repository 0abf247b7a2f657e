"""Every attack on targets that are not among the shadow models."""

from dataclasses import replace

import numpy as np
import pytest
from attack_helpers import make_block, members_three_higher, membership
from scipy.special import log_ndtr

from mia_tf.analysis.evaluation import Population, evaluate
from mia_tf.analysis.pooling import sides_of
from mia_tf.attacks import attack_classes
from mia_tf.shadow.lineup import NONE, Lineup

every_attack = pytest.mark.parametrize("name", attack_classes())
SHADOW = 16


def scores_of_targets(name, phi, keep, lineup):
    attack = attack_classes()[name](keep.shape[1], np.random.default_rng(0))
    block = replace(make_block(phi, keep), lineup=lineup)
    attack.observe(block)
    attack.fit()
    return attack.score(block)[:, : lineup.num_targets]


def auroc(scores, keep, num_in=None):
    targets = keep[:, : scores.shape[1]]
    population = Population(np.ones(len(keep), bool), targets, num_in, scores.shape[1])
    return evaluate(scores.astype(np.float32), population, 0).metrics["auroc"]


def noise(rng, keep):
    """phi (N, 2, M) that has nothing to do with membership; examples differ in place and spread."""
    count = len(keep)
    spread = rng.gamma(4, size=(count, 1, 1)) / 4
    return rng.normal(size=(count, 2, keep.shape[1])) * spread + rng.normal(size=(count, 1, 1))


@every_attack
@pytest.mark.parametrize("num_targets, plan", [(1, "bernoulli"), (6, "balanced")])
def test_noise_gives_no_advantage(name, num_targets, plan):
    rng = np.random.default_rng([num_targets, len(plan)])
    count = 24_000 // num_targets
    keep = np.concatenate(
        [membership(rng, count, num_targets, 0.7, "bernoulli"), membership(rng, count, SHADOW, plan=plan)], axis=1
    )
    lineup = Lineup.of_two_logdirs(keep, num_targets)
    value, low, high = auroc(scores_of_targets(name, noise(rng, keep), keep, lineup), keep)
    # As in the conformance tests: twice the width of a 95% interval, for two dozen cases.
    assert abs(value - 0.5) < high - low < 0.04


def alike(rng, plan):
    """Targets and shadow models of the same subsets, which say alike for that reason alone, and keep (N, 16 + 16)."""
    keep = np.tile(membership(rng, 1500, SHADOW, plan=plan), 2)
    phi = noise(rng, keep)
    phi[..., :SHADOW] = phi[..., SHADOW:] + 0.3 * noise(rng, keep[:, :SHADOW])
    return phi, keep


@every_attack
def test_a_shadow_model_of_the_same_subset_does_not_give_membership_away(name):
    phi, keep = alike(np.random.default_rng(9), "bernoulli")
    lineup = Lineup.of_two_logdirs(keep, SHADOW)
    scores = scores_of_targets(name, phi, keep, lineup)
    value, low, high = auroc(scores, keep, keep[:, :SHADOW].sum(axis=1))
    assert abs(value - 0.5) < high - low < 0.04


@pytest.mark.parametrize("name", ["lira_online", "lira_online_fixed"])  # which tell the sides apart by one model more
def test_it_would_give_membership_away_where_it_was_not_left_out(name):
    phi, keep = alike(np.random.default_rng(8), "balanced")
    without_twins = Lineup(SHADOW, SHADOW, np.full(SHADOW, NONE))
    assert auroc(scores_of_targets(name, phi, keep, without_twins), keep)[0] > 0.53


@pytest.mark.parametrize("name", ["lira_online", "lira_online_fixed"])
def test_targets_whose_twins_are_missing_are_not_given_away_by_how_many_shadow_models_are_left(name):
    """Attacked alone, they gave an AUROC of 0.45: the fewer of the plan's other models are IN, the more of them are."""
    rng = np.random.default_rng(10)
    plan = membership(rng, 3000, SHADOW, plan="balanced")
    keep = np.concatenate([plan[:, ::-1], plan[:, : SHADOW // 2]], axis=1)
    lineup = Lineup.of_two_logdirs(keep, SHADOW)
    attacked = keep[:, :4]
    assert (lineup.twins[:4] == NONE).all() and (lineup.twins != NONE).any()
    scores = scores_of_targets(name, noise(rng, keep), keep, lineup)[:, :4]
    population = Population(np.ones(len(keep), bool), attacked, *sides_of(lineup, keep, attacked))
    value, low, high = evaluate(scores.astype(np.float32), population, 0).metrics["auroc"]
    assert abs(value - 0.5) < high - low < 0.04


@every_attack
def test_members_score_higher(name):
    rng = np.random.default_rng(6)
    keep = membership(rng, 600, 3 + SHADOW, plan="bernoulli")
    phi = members_three_higher(rng, keep, name)
    scores = scores_of_targets(name, phi, keep, Lineup.of_two_logdirs(keep, 3))
    assert scores.shape == (600, 3)
    assert auroc(scores, keep)[0] > 0.8


@every_attack
def test_the_targets_are_not_fitted_to(name):
    rng = np.random.default_rng(7)
    keep = membership(rng, 60, 2 + SHADOW, plan="bernoulli")
    phi = rng.normal(size=(60, 2, 2 + SHADOW)) + keep[:, None]
    lineup = Lineup.of_two_logdirs(keep, 2)
    before = scores_of_targets(name, phi, keep, lineup)
    phi[..., 0] += rng.normal(size=(60, 2))
    keep[:, 0] = ~keep[:, 0]
    after = scores_of_targets(name, phi, keep, lineup)
    np.testing.assert_allclose(after[:, 1], before[:, 1], rtol=1e-10)
    assert (after[:, 0] != before[:, 0]).any()


def test_offline_with_one_variance_needs_no_shadow_model_trained_on_an_example():
    # Two queries: only with the variance of OUT does the scale of phi not matter.
    rng = np.random.default_rng(3)
    targets = membership(rng, 60, 6)
    keep = np.concatenate([targets, np.zeros((60, SHADOW), bool)], axis=1)
    phi, lineup = noise(rng, keep) + 2 * keep[:, None], Lineup.of_two_logdirs(keep, 6)
    scores = [scores_of_targets("lira_offline_fixed", scale * phi, keep, lineup) for scale in (0.05, 1, 20)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-9)
    np.testing.assert_allclose(scores[2], scores[1], rtol=1e-9)
    outside = phi[..., 6:]
    variance = outside.var(axis=2).mean() * SHADOW / (SHADOW - 1)
    z = (phi[..., :6] - np.median(outside, axis=2, keepdims=True)) / np.sqrt(variance)
    np.testing.assert_allclose(scores[1], -np.log(-log_ndtr(z).mean(axis=1)), rtol=1e-9)
