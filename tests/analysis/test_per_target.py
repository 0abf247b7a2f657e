"""The per-target rate is what LiRA's published plot.py reports, target by target."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from mia_tf.analysis.per_target import LEVEL, per_target_tpr
from mia_tf.analysis.statistics import redraws


def published(scores, keep):
    """`tpr[np.where(fpr < .001)[0][-1]]` of LiRA's plot.py for each target, with every threshold."""
    rates = []
    for score, member in zip(scores.T, keep.T, strict=True):
        fpr, tpr, _ = roc_curve(member, score, drop_intermediate=False)
        rates.append(tpr[np.where(fpr < LEVEL)[0][-1]])
    return np.array(rates)


@pytest.mark.parametrize("num_examples", [60, 900, 4000])
@pytest.mark.parametrize("digits", [None, 1], ids=["distinct", "ties"])
def test_it_is_the_mean_of_what_the_published_code_reports(num_examples, digits):
    rng = np.random.default_rng(num_examples)
    keep = rng.random((num_examples, 5)) < 0.5
    scores = rng.normal(size=keep.shape) + 1.5 * keep
    if digits is not None:
        scores = scores.round(digits)
    (value, low, high), note = per_target_tpr(scores.astype(np.float32), keep, np.ones(num_examples, bool), 0)
    assert value == pytest.approx(published(scores, keep).mean(), abs=1e-12)
    assert low <= value <= high and low < high
    nonmembers = int(np.median((~keep).sum(axis=0)))
    assert (
        note
        == f"own threshold per target, {-(-nonmembers // 1000) - 1} false positives of about {nonmembers} non-members"
    )


def test_only_the_population_and_only_scored_pairs_count():
    rng = np.random.default_rng(0)
    keep = rng.random((300, 4)) < 0.5
    scores = rng.normal(size=keep.shape) + 2 * keep
    scores[rng.random(keep.shape) < 0.1] = np.nan
    chosen = np.arange(300) % 3 == 0
    expected = []
    for score, member in zip(scores[chosen].T, keep[chosen].T, strict=True):
        known = ~np.isnan(score)
        expected.append(published(score[known, None], member[known, None])[0])
    assert per_target_tpr(scores, keep, chosen, 0)[0][0] == pytest.approx(np.mean(expected))


def test_targets_of_one_side_are_left_out_and_none_gives_nan():
    keep = np.ones((50, 2), bool)
    scores = np.random.default_rng(0).normal(size=(50, 2))
    triple, note = per_target_tpr(scores, keep, np.ones(50, bool), 0)
    assert np.isnan(triple).all() and note == "no target has both members and non-members"
    keep[:25, 0] = False
    value = per_target_tpr(scores, keep, np.ones(50, bool), 0)[0][0]
    assert value == pytest.approx(published(scores[:, :1], keep[:, :1])[0])


def test_intervals_hold_the_rate_of_other_draws():
    """Targets and examples drawn anew from N(0, 1) and N(2, 1): 95% intervals hold the mean of many draws."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        keep = rng.random((400, 12)) < 0.5
        return rng.normal(size=keep.shape) + 2 * keep, keep

    everyone = np.ones(400, bool)
    truth = np.mean([published(*draw(seed)).mean() for seed in range(1000, 1060)])
    held = 0
    for seed in range(60):
        (_, low, high), _ = per_target_tpr(*draw(seed), everyone, seed)
        held += low <= truth <= high
    # Of 60 intervals 57 are expected; fewer than 51 has a probability below 1 in 100, and pairs are independent here.
    assert held >= 51


def test_a_rate_of_zero_has_an_interval():
    keep = np.arange(40)[:, None] < np.full(3, 20)
    scores = np.where(keep, 0.0, 1.0) + np.arange(40)[:, None] / 100
    (value, low, high), _ = per_target_tpr(scores, keep, np.ones(40, bool), 0)
    assert value == low == 0 and 0.1 < high < 0.2  # Clopper-Pearson for 0 of 20 is 0.168


@pytest.mark.parametrize("weighted", [False, True])
def test_the_interval_over_examples_is_that_of_every_draw_taken_one_by_one(weighted):
    rng = np.random.default_rng(5)
    keep = rng.random((900, 18)) < 0.5
    # The same examples are odd for all targets: what is drawn again matters more than the targets.
    scores = (rng.normal(size=(900, 1)) + 0.2 * rng.normal(size=keep.shape) + 2 * keep).round(2)
    scores[rng.random(keep.shape) < 0.1] = np.nan
    scores[rng.random(keep.shape) < 0.1] = -np.inf  # as a logarithm of 0
    num_in = rng.integers(4, 14, 900)
    sizes = np.array([18 - num_in, num_in]) if weighted else None
    (value, low, high), _ = per_target_tpr(scores, keep, np.ones(900, bool), 7, sizes)

    unit = np.random.default_rng([7, 0]).permutation(900) % 256
    drawn = []
    for draw in [np.ones(256), *redraws(256, 7, 3)[:200]]:
        rates = []
        for target in range(18):
            pairs = [
                (score, member, draw[of] / (1 if sizes is None else sizes[int(member), row]))
                for row, (score, member, of) in enumerate(zip(scores[:, target], keep[:, target], unit, strict=True))
                if not np.isnan(score)
            ]
            false, right = (np.array([(s, w) for s, member, w in pairs if member == side]) for side in (False, True))
            passed = [
                t for t in false[:, 0] if false[false[:, 0] >= t, 1].sum() >= LEVEL * false[:, 1].sum() * (1 - 1e-12)
            ]
            rates.append(right[right[:, 0] > max(passed), 1].sum() / right[:, 1].sum())
        drawn.append(np.mean(rates))
    assert value == pytest.approx(drawn[0], abs=1e-12)
    reach = np.quantile(np.abs(np.array(drawn[1:]) - value), 0.95)
    assert (low, high) == pytest.approx((value - reach, value + reach), abs=1e-12)
