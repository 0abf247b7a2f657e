"""RMIA against its definition written slowly, a closed form, and what saturates."""

import numpy as np
import pytest
from attack_helpers import left_for, make_block, membership, pooled, run
from scipy.special import expit, ndtr

from mia_tf.attacks import attack_classes, rmia

NAMES = ["rmia", "rmia_offline"]


def slow_log_ratios(name, phi, keep):
    """(N, M) log p(x | theta) / p(x), refitted for every target."""
    num_examples, queries, num_models = phi.shape
    confidence = expit(phi)
    ratios = np.empty((num_examples, num_models))
    for example in range(num_examples):
        for target in range(num_models):
            members, others = left_for(keep, example, target)
            logs = []
            for q in range(queries):
                inside, outside = confidence[example, q, members].mean(), confidence[example, q, others].mean()
                expected = (inside + outside) / 2 if name == "rmia" else (1.3 * outside + 0.7) / 2
                logs.append(np.log(confidence[example, q, target] / expected))
            ratios[example, target] = np.mean(logs)
    return ratios


def slow_score(ratio, others, median):
    """Between the shares of z that x dominates at the two z about it, in proportion; beyond them, the distance."""
    others = sorted(others)
    share = np.mean([z <= ratio for z in others])
    if share == 0:
        return 1 / len(others) - (others[0] - ratio) / (median - others[0])
    if share == 1:
        return 1 + (ratio - others[-1]) / (others[-1] - median)
    below, above = max(z for z in others if z <= ratio), min(z for z in others if z > ratio)
    return share + (ratio - below) / (above - below) / len(others)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pkeep", [0.5, 0.7])
def test_the_scores_are_those_of_the_definition(name, pkeep):
    rng = np.random.default_rng(0)
    keep = membership(rng, 40, 13, pkeep)
    phi = rng.normal(size=(40, 2, 13)) * 2 + 1.5 * keep[:, None]
    ratios = slow_log_ratios(name, phi, keep)
    expected = np.empty(keep.shape)
    for x in range(40):
        for target in range(13):
            others = [ratios[z, target] for z in range(40) if z != x and not keep[z, target]]
            everyone = sorted(ratios[~keep[:, target], target])
            expected[x, target] = slow_score(ratios[x, target], others, everyone[len(everyone) // 2])
    scores = run(name, phi, keep)
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-10)
    # The interpolation stays within one z of the share itself.
    share = np.floor(np.clip(expected, 0, 1) * (~keep).sum(axis=0)) / (~keep).sum(axis=0)
    assert np.abs(np.clip(scores, 0, 1) - share).max() < 2 / (~keep).sum(axis=0).min()


def test_unit_normals_give_the_area_of_the_closed_form_where_every_example_is_hard():
    # At phi of -60 and below the confidence is exp(phi), so that the log ratio is phi less a constant of the
    # example: the score rises with phi about its example's place, and AUC = Phi(d / sqrt 2). That constant is
    # the log of a mean of lognormals, which errs by 0.06 sigma with 500 models per side, and the shares of 500 z err
    # by as much: together they take 0.0006 from the area.
    rng = np.random.default_rng(1)
    keep = membership(rng, 1000, 1000)
    phi = rng.normal(size=(1000, 1, 1000)) + keep[:, None] - rng.uniform(80, 120, size=(1000, 1, 1))
    value, low, high = pooled(run("rmia", phi, keep), keep).metrics["auroc"]
    assert abs(value - ndtr(1 / np.sqrt(2))) < 0.75 * (high - low)  # three standard errors
    assert high - low < 0.008


def test_offline_looks_at_no_member():
    rng = np.random.default_rng(3)
    keep = membership(rng, 20, 8)
    phi = rng.normal(size=(20, 2, 8))
    changed = np.where(keep[:, None], phi + rng.normal(size=phi.shape), phi)
    before, after = (run("rmia_offline", values, keep) for values in (phi, changed))
    np.testing.assert_allclose(before[~keep], after[~keep], rtol=1e-10)
    assert np.abs(run("rmia", phi, keep) - run("rmia", changed, keep))[~keep].max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_target_changes_the_score_of_others_by_one_z_at_most(name):
    """What is fitted, p(x), leaves the target out: its record shows on another example through LR(x, z) alone."""
    rng = np.random.default_rng(4)
    keep = membership(rng, 60, 12)
    phi = rng.normal(size=(60, 2, 12))
    before = run(name, phi, keep)
    z, target = np.argwhere(~keep)[0]
    changed = phi.copy()
    changed[z, :, target] += 5
    moved = np.abs(run(name, changed, keep) - before)[:, target]
    inside = (before[:, target] > 0.1) & (before[:, target] < 0.9) & (np.arange(60) != z)
    assert 0 < moved[inside].max() < 2.1 / ((~keep[:, target]).sum() - 1)


def test_ranks_survive_where_all_models_are_sure():
    """With probabilities in place of logits every one of these is 1, and with float32 losses 0."""
    rng = np.random.default_rng(5)
    keep = membership(rng, 200, 16)
    phi = 25 + rng.normal(size=(200, 1, 16)) + 3 * keep[:, None]
    scores = run("rmia", phi, keep)
    assert len(np.unique(scores.astype(np.float32))) > 0.99 * scores.size
    assert pooled(scores, keep).metrics["auroc"][0] > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_a_capped_population_is_drawn_by_the_seed_and_not_by_the_blocks(name, monkeypatch):
    monkeypatch.setattr(rmia, "MAX_POPULATION", 50)
    rng = np.random.default_rng(6)
    keep = membership(rng, 400, 8)
    phi = rng.normal(size=(400, 1, 8)) + keep[:, None]
    scores = run(name, phi, keep)
    np.testing.assert_allclose(run(name, phi, keep, 33), scores, rtol=1e-10)
    attack = attack_classes()[name](8, np.random.default_rng(1))
    attack.observe(make_block(phi, keep))
    attack.fit()
    assert len(attack._rows) == 50
    others = attack.score(make_block(phi, keep))
    assert (others != scores).mean() > 0.9
    assert np.corrcoef(np.clip(others, 0, 1).ravel(), np.clip(scores, 0, 1).ravel())[0, 1] > 0.9


def test_equal_ratios_have_equal_shares_for_members_and_nonmembers():
    """A non-member's own ratio is among the z. Where answers tie, it once had a lower share than a member's."""
    population = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 5, 5, 5.0])
    ratios = np.unique(population)[:, None]
    joined = np.append(population, np.nan)
    shares = [rmia._dominated_share([population], joined, ratios, np.full(ratios.shape, own)) for own in (True, False)]
    np.testing.assert_array_equal(*shares)
    assert (np.diff(shares[0], axis=0) > 0).all()
