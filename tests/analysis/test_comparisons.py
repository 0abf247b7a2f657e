"""Differences of AUROCs on the same targets and examples: their intervals, by simulation and in closed form."""

import numpy as np

from mia_tf.analysis.comparisons import comparison_rows, difference
from mia_tf.analysis.evaluation import Population, evaluate

EXAMPLES, TARGETS = 300, 12


def population(keep, chosen=None):
    chosen = np.ones(len(keep), bool) if chosen is None else chosen
    return Population(chosen, keep, keep.sum(axis=1), keep.shape[1])


def measure(scores, keep, chosen=None, seed=0):
    return evaluate(scores.astype(np.float32), population(keep, chosen), seed)


def draw(rng, examples=EXAMPLES, gain=1.0):
    """Membership, and scores of examples that differ much in how easy they are to attack."""
    keep = rng.random((examples, TARGETS)).argsort(axis=1) < TARGETS // 2
    return keep, rng.normal(size=keep.shape) + gain * rng.gamma(0.5, 2, size=(examples, 1)) * keep


def test_an_attack_does_not_differ_from_itself_however_its_scores_are_scaled():
    keep, scores = draw(np.random.default_rng(0))
    one, same = measure(scores, keep), measure(2 * scores, keep)
    assert difference(one, same) == (0, 0, 0)
    assert one.metrics["auroc"][1] < one.metrics["auroc"][2]


def test_what_moves_both_alike_does_not_widen_the_interval():
    """A little noise on the same scores: the two AUROCs are uncertain, their difference is not."""
    rng = np.random.default_rng(1)
    keep, scores = draw(rng)
    better, worse = measure(scores, keep), measure(scores + 0.3 * rng.normal(size=scores.shape), keep)
    value, low, high = difference(better, worse)
    assert value == better.metrics["auroc"][0] - worse.metrics["auroc"][0] and low <= value <= high
    widths = [found.metrics["auroc"][2] - found.metrics["auroc"][1] for found in (better, worse)]
    assert high - low < 0.5 * np.hypot(*widths)


def test_a_group_and_all_examples_are_drawn_together():
    """The difference of a population from itself, named as another, is none."""
    keep, scores = draw(np.random.default_rng(2))
    rows = comparison_rows({("a", None, name): measure(scores, keep) for name in ("all", "under")}, "lira")
    assert rows == [("a", "a", "under", "all", None, None, 0, 0, 0)]
    half = np.arange(EXAMPLES) < EXAMPLES // 2
    value, low, high = difference(measure(scores, keep, half), measure(scores, keep))
    apart = difference(measure(scores, keep, half), measure(scores, keep, seed=1))
    assert apart[0] == value and high - low < apart[2] - apart[1]


def test_which_pairs_are_compared():
    keep, scores = draw(np.random.default_rng(3))
    keys = [(name, size, group) for name in ("lira", "yeom") for size in (None, 2) for group in ("all", "under")]
    rows = comparison_rows(dict.fromkeys(keys, measure(scores, keep)), "lira")
    assert {row[:6] for row in rows} == {
        ("lira", "lira", "under", "all", None, None),
        ("yeom", "yeom", "under", "all", None, None),
        *(("lira", "yeom", group, group, None, None) for group in ("all", "under")),
        *((name, name, group, group, None, 2) for name in ("lira", "yeom") for group in ("all", "under")),
    }
    assert len(rows) == 8
    assert not comparison_rows({("yeom", None, "all"): measure(scores, keep)}, "lira")


def test_nothing_to_measure_is_no_difference():
    keep, scores = draw(np.random.default_rng(4))
    nothing = measure(np.full(scores.shape, np.nan), keep)
    assert np.isnan(difference(measure(scores, keep), nothing)).all()


def test_paired_intervals_cover_as_often_as_they_say():
    """Examples drawn anew for every trial; the truth is that of very many."""
    rng = np.random.default_rng(5)

    def both(examples):
        keep, scores = draw(rng, examples)
        return measure(scores, keep), measure(scores + 0.7 * rng.normal(size=scores.shape), keep)

    truth = difference(*both(20_000))[0]
    covered = 0
    for _ in range(60):
        _, low, high = difference(*both(120))
        covered += low <= truth <= high
    # About 95%; fewer than 51 of 60 has a chance of 1 in 100.
    assert covered >= 51, covered


def test_two_rates_of_nothing_differ_by_no_more_than_each_may_be():
    """No member is found in either: the difference was once 0 [0, 0]."""
    rng = np.random.default_rng(6)
    keep = rng.random((200, TARGETS)).argsort(axis=1) < TARGETS // 2
    scores = np.where(keep, 0.0, 1.0) + rng.random(keep.shape)
    one, other = (measure(scores + shift * rng.random(keep.shape), keep) for shift in (0.1, 0.2))
    value, low, high = difference(one, other, "tpr_at_fpr_0.01")
    assert value == 0
    np.testing.assert_allclose([-low, high], one.metrics["tpr_at_fpr_0.01"][2], rtol=1e-9)  # 1.8%, Clopper-Pearson's
    np.testing.assert_allclose(high, 1 - 0.025 ** (1 / 200), rtol=1e-9)
