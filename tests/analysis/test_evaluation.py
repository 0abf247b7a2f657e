"""Pooling over targets and examples: who is counted, with what weight, and what is said of it."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score, roc_curve

from mia_tf.analysis.evaluation import FPR_LEVELS, Population, evaluate, metric_names


def bernoulli_scores(num_examples=300, num_models=12, seed=0):
    """Scores whose place and spread depend on an example's number of members, as those of noisy fits do."""
    rng = np.random.default_rng(seed)
    keep = rng.random((num_examples, num_models)) < rng.beta(2, 2, size=(num_examples, 1))
    num_in = keep.sum(axis=1)
    scores = rng.normal(size=keep.shape) * (1 + num_in[:, None] / 4) + num_in[:, None] + 0.5 * keep
    return scores, keep, num_in


def everyone(keep):
    """All examples and targets."""
    return Population(np.ones(len(keep), bool), keep, keep.sum(axis=1), keep.shape[1])


def test_all_pairs_are_pooled_with_equal_weights_under_a_balanced_plan():
    rng = np.random.default_rng(0)
    keep = rng.random((300, 10)).argsort(axis=1) < 7
    scores = np.float32(rng.normal(size=keep.shape) + keep)
    evaluation = evaluate(np.float32(scores), Population(np.ones(300, bool), keep, keep.sum(axis=1), 10), 0)
    assert (evaluation.num_targets, evaluation.num_members, evaluation.num_nonmembers) == (10, 2100, 900)
    assert evaluation.metrics["auroc"][0] == pytest.approx(roc_auc_score(keep.ravel(), scores.ravel()), rel=1e-12)
    fpr, tpr, _ = roc_curve(keep.ravel(), scores.ravel(), drop_intermediate=False)
    assert evaluation.metrics["advantage"][0] == pytest.approx((tpr - fpr).max())
    points = {(f, t) for f, t in zip(fpr.round(12), tpr.round(12), strict=True)}
    assert {tuple(point) for point in evaluation.curve.round(12)} <= points
    assert evaluation.curve[-1].tolist() == [1, 1]
    assert (np.diff(evaluation.curve, axis=0) >= 0).all()


def test_every_example_counts_equally_on_both_sides_where_numbers_of_members_differ():
    scores, keep, num_in = bernoulli_scores()
    pooled = (num_in > 0) & (num_in < 12)
    evaluation = evaluate(np.float32(scores), Population(np.ones(len(keep), bool), keep, num_in, 12), 0)
    weights = np.where(keep, 1 / np.maximum(num_in, 1)[:, None], 1 / np.maximum(12 - num_in, 1)[:, None])[pooled]
    member, value = keep[pooled].ravel(), np.float32(scores[pooled]).ravel()
    expected = roc_auc_score(member, value, sample_weight=weights.ravel())
    assert evaluation.metrics["auroc"][0] == pytest.approx(expected, rel=1e-12)
    # The scores rise with the number of members: without the weights that alone would look like leakage.
    assert roc_auc_score(member, value) > expected + 0.05


def test_nan_scores_and_other_populations_are_left_out_and_counted():
    scores, keep, num_in = bernoulli_scores()
    num_in = np.full(len(num_in), 6)
    scores[:5] = np.nan
    chosen = np.arange(len(scores)) < 100
    evaluation = evaluate(np.float32(scores), Population(chosen, keep, num_in, 12), 0)
    assert evaluation.num_members + evaluation.num_nonmembers == 95 * 12
    assert evaluation.metrics["auroc"][0] == pytest.approx(
        roc_auc_score(keep[5:100].ravel(), scores[5:100].ravel()), 1e-6
    )
    assert evaluation.notes["auroc"] == "5 examples not scored: too few models"


def test_a_rate_that_too_few_nonmembers_can_resolve_is_left_empty_and_flagged():
    rng = np.random.default_rng(0)
    keep = np.arange(8)[None] < np.full((300, 1), 4)
    evaluation = evaluate(
        np.float32(rng.normal(size=(300, 8))), Population(np.ones(300, bool), keep, keep.sum(axis=1), 8), 0
    )
    assert evaluation.num_nonmembers == 1200
    assert not np.isnan(evaluation.metrics["tpr_at_fpr_0.001"]).any()
    assert np.isnan(evaluation.metrics["tpr_at_fpr_0.0001"]).all()
    assert evaluation.notes["tpr_at_fpr_0.0001"] == "unresolved: 1200 non-members, 10000 needed"
    assert evaluation.notes["tpr_at_fpr_0.001"] == ""


def test_nothing_to_pool_is_said_and_not_an_error():
    keep = np.arange(8)[None] < np.full((20, 1), 4)
    evaluation = evaluate(
        np.float32(np.full((20, 8), np.nan)), Population(np.ones(20, bool), keep, keep.sum(axis=1), 8), 0
    )
    assert all(np.isnan(evaluation.metrics[metric]).all() for metric in metric_names(FPR_LEVELS))
    assert set(evaluation.notes.values()) == {"20 examples not scored: too few models"}
    assert evaluation.curve.shape == (0, 2)


def test_the_interval_is_the_wider_of_targets_and_examples():
    rng = np.random.default_rng(1)
    keep = rng.random((512, 40)).argsort(axis=1) < 20
    noise = rng.normal(size=keep.shape)
    widths = {}
    # Members are better told apart on some targets, or on some examples, or on all alike.
    for name, strength in (
        ("targets", rng.gamma(0.3, size=(1, 40))),
        ("examples", np.repeat(rng.gamma(0.3, size=(32, 1)), 16, axis=0)),
        ("neither", np.ones((1, 1))),
    ):
        evaluation = evaluate(
            np.float32(noise + 2 * strength * keep), Population(np.ones(512, bool), keep, keep.sum(axis=1), 40), 0
        )
        value, low, high = evaluation.metrics["auroc"]
        assert low < value < high
        widths[name] = high - low
    assert widths["targets"] > 2 * widths["neither"]
    assert widths["examples"] > 1.5 * widths["neither"]


def test_one_target_gets_its_interval_from_the_examples():
    rng = np.random.default_rng(2)
    keep = rng.random((400, 1)) < 0.5
    population = Population(np.ones(400, bool), keep, np.full(400, 5), 10)
    value, low, high = evaluate(np.float32(rng.normal(size=(400, 1)) + keep), population, 0).metrics["auroc"]
    assert low < value < high


def test_equal_seeds_agree_and_others_differ():
    scores, keep, num_in = bernoulli_scores()
    population = Population(np.ones(len(keep), bool), keep, num_in, 12)
    first, same, other = (evaluate(np.float32(scores), population, seed).metrics["auroc"] for seed in (0, 0, 1))
    assert first == same
    assert first[0] == other[0]
    assert first[1:] != other[1:]


def test_the_interval_holds_the_value_also_of_a_maximum_over_noise():
    rng = np.random.default_rng(3)
    keep = rng.random((200, 8)).argsort(axis=1) < 4
    evaluation = evaluate(
        np.float32(rng.normal(size=(200, 8))), Population(np.ones(200, bool), keep, keep.sum(axis=1), 8), 0
    )
    for metric in ("auroc", "advantage"):
        value, low, high = evaluation.metrics[metric]
        assert 0 <= low <= value <= high <= 1


def test_a_rate_of_none_or_all_has_the_binomial_interval_of_its_examples():
    """Drawing again would say [0, 0] and [1, 1]; Clopper and Pearson's interval of 200 trials has a closed form."""
    rng = np.random.default_rng(4)
    keep = rng.random((200, 40)).argsort(axis=1) < 20
    population = Population(np.ones(200, bool), keep, keep.sum(axis=1), 40)
    reach = 0.025 ** (1 / 200)
    for gain, expected in ((-50, (0, 0, 1 - reach)), (50, (1, reach, 1))):
        evaluation = evaluate(np.float32(rng.normal(size=keep.shape) + gain * keep), population, 0)
        assert evaluation.metrics["tpr_at_fpr_0.001"] == pytest.approx(expected, abs=1e-9)


def test_a_rate_that_rests_on_a_few_examples_has_at_least_the_interval_of_its_examples():
    rng = np.random.default_rng(5)
    keep = rng.random((300, 40)).argsort(axis=1) < 20
    population = Population(np.ones(300, bool), keep, keep.sum(axis=1), 40)
    for odd, widened in ((6, True), (60, False)):  # whose members are all found
        scores = rng.normal(size=keep.shape) - 20 * keep
        scores[:odd] += 40 * keep[:odd]
        value, low, high = evaluate(np.float32(scores), population, 0).metrics["tpr_at_fpr_0.001"]
        assert value == pytest.approx(odd / 300)
        exact = scipy.stats.binomtest(odd, 300).proportion_ci(method="exact")
        assert (low <= exact.low + 1e-9 and high >= exact.high - 1e-9) == widened
        # 95% of a share of 300 examples, by the normal approximation, which 60 allow.
        assert high - low > 3 * np.sqrt(value * (1 - value) / 300)


@pytest.mark.parametrize("num_examples", [3, 20])
def test_where_all_are_told_apart_the_area_has_the_binomial_interval_of_its_examples(num_examples):
    keep = np.arange(num_examples * 8).reshape(num_examples, 8) % 2 == 0
    metrics = evaluate(keep.astype(np.float32), everyone(keep), 0).metrics
    low = 0.025 ** (1 / num_examples)  # Clopper-Pearson for as many of as many
    for metric in ("auroc", "advantage", "tpr_at_fpr_0.1"):
        np.testing.assert_allclose(metrics[metric], (1, low, 1), rtol=1e-6)


def test_an_area_that_a_few_examples_keep_from_one_has_at_least_the_interval_of_its_examples():
    """One example in 40 is not remembered on average: the intervals hold the mean over many examples."""
    rng, held, narrow = np.random.default_rng(5), 0, 0
    for _ in range(60):
        keep = rng.random((40, 8)).argsort(axis=1) < 4
        remembered = rng.random((40, 1)) < 39 / 40
        _, low, high = evaluate(rng.normal(size=keep.shape) + 20 * (keep & remembered), everyone(keep), 0).metrics[
            "auroc"
        ]
        held += low <= 1 - 1 / 80 <= high
        narrow += low > 0.995
    # 57 of 60 are expected at least; fewer than 51 has a chance below 1 in 100. A bootstrap alone holds 40.
    assert held >= 51 and narrow == 0


@pytest.mark.parametrize("num_targets", [4, 8])
def test_intervals_over_few_targets_hold_the_area_of_many(num_targets):
    """Targets differ in how strongly they remember; examples do not."""
    rng = np.random.default_rng(num_targets)
    truth = scipy.stats.norm.cdf(1 / np.sqrt(2 + 0.4**2))
    held = 0
    for _ in range(100):
        keep = rng.random((300, num_targets)).argsort(axis=1) < num_targets // 2
        scores = rng.normal(size=keep.shape) + rng.normal(1, 0.4, num_targets) * keep
        _, low, high = evaluate(scores, everyone(keep), 0, (0.1,)).metrics["auroc"]
        held += low <= truth <= high
    # 95 are expected, fewer than 88 has a chance of 1 in 250; without Student's t 85 were held.
    assert held >= 88


def test_the_rate_per_target_weighs_examples_as_the_pooled_one_does():
    scores, keep, num_in = bernoulli_scores(2000, 12)
    population = Population(np.ones(2000, bool), keep, num_in, 12)
    value = evaluate(scores, population, 0).metrics["tpr_at_fpr_0.001_per_target"][0]
    pooled, rates = population.pooled, []
    for score, member in zip(scores[pooled].astype(np.float32).T, keep[pooled].T, strict=True):
        weights = 1 / np.where(member, num_in[pooled], 12 - num_in[pooled])
        fpr, tpr, _ = roc_curve(member, score, sample_weight=weights, drop_intermediate=False)
        rates.append(tpr[fpr < 0.001].max())
    assert value == pytest.approx(np.mean(rates), abs=1e-12)


@pytest.mark.parametrize("plan", ["balanced", "bernoulli"])
def test_on_noise_the_rate_per_target_is_that_of_chance(plan):
    """Noise whose spread goes with an example's number of members, as the spread of fits does."""
    rng = np.random.default_rng(len(plan))
    uniform = rng.random((4000, 16))
    keep = uniform.argsort(axis=1) < 8 if plan == "balanced" else uniform < 0.5
    num_in = keep.sum(axis=1)
    scores = rng.normal(size=keep.shape) * np.abs(num_in - 8 + 0.5)[:, None] + num_in[:, None]
    value, low, _ = evaluate(scores, everyone(keep), 0).metrics["tpr_at_fpr_0.001_per_target"]
    # Of 2,000 non-members one may score higher: 0.1% of the members are above the second highest on average.
    assert 0 < value < 0.002 and low < 0.0015
