"""The attack that predicts phi from the example itself: against refitting, in closed form, and where x comes from."""

import numpy as np
import pytest
from attack_helpers import examples, make_block, membership, pooled, run
from refusals import refuses
from scipy.special import ndtr
from scipy.stats import norm
from toys import make_dataset

import mia_tf
from mia_tf.analysis import study
from mia_tf.attacks import attack_classes, gaussian_regression, quantile_regression
from mia_tf.attacks.gaussian_regression import fit_normal
from mia_tf.records import ModelRecord
from mia_tf.shadow.blocks import Recording
from mia_tf.store import Store

NAME = "quantile_regression"


def by_difficulty(num_examples=2000, num_models=4, gain=1.0):
    """phi (N, 1, M) normal with variance 1 about a mean that x tells, higher by `gain` for members; keep; x."""
    rng = np.random.default_rng(0)
    keep, x = membership(rng, num_examples, num_models), examples(num_examples)
    phi = 4 * x[:, :1] + rng.normal(size=keep.shape) + gain * keep
    return phi[:, None], keep, x


def test_an_example_is_judged_by_the_regression_on_the_other_halfs_non_members():
    phi, keep, x = by_difficulty(400)
    phi = np.repeat(phi, 2, axis=1) + np.array([-1.0, 1.0])[:, None]
    attack = attack_classes()[NAME](4, np.random.default_rng(0))
    block = make_block(phi, keep)
    attack.observe(block)
    attack.fit()
    scores = attack.score(block)
    half = quantile_regression._digests(x) % 2
    features = attack._features(x, block.labels)
    assert 150 < half.sum() < 250
    for target in range(4):
        for judged in (0, 1):
            rows, seen = half == judged, (half != judged) & ~keep[:, target]
            values = phi[:, :, target].mean(axis=1)
            fitted = fit_normal(features[seen], values[seen])
            expected = fitted.standardized(features[rows], values[rows, None])[:, 0]
            # The attack fits in float32: 1e-7 of 200 sums, times the condition of their matrix, of scores of spread 1.
            np.testing.assert_allclose(scores[rows, target], expected, atol=5e-3)


def test_knowing_how_hard_an_example_is_reaches_the_area_of_two_normals():
    """phi's own spread over the examples is 4: without x the gain of 1 would give 0.57."""
    phi, keep, _ = by_difficulty()
    value, low, high = pooled(run(NAME, phi, keep), keep).metrics["auroc"]
    # Three standard errors, and what 500 examples leave unknown of the mean.
    assert ndtr(1 / np.sqrt(2)) - 0.04 < value < ndtr(1 / np.sqrt(2)) + 0.75 * (high - low)
    assert pooled(run("yeom", phi, keep), keep).metrics["auroc"][0] < 0.6


def test_a_copy_in_the_other_half_does_not_give_an_example_away():
    """Pairs of copies, each a member of its own: the regression would know one from the other."""
    digests = quantile_regression._digests(np.repeat(examples(50), 2, axis=0))
    np.testing.assert_array_equal(digests[::2], digests[1::2])
    assert len(np.unique(digests)) == 50


def test_a_limited_number_of_examples_is_kept_whatever_their_order(monkeypatch):
    monkeypatch.setattr(quantile_regression, "MAX_EXAMPLES", 60)
    phi, keep, x = by_difficulty(400)
    attacks = []
    for size, order in ((400, np.arange(400)), (25, np.random.default_rng(1).permutation(400))):
        attack = attack_classes()[NAME](4, np.random.default_rng(0))
        for start in range(0, 400, size):
            rows = order[start : start + size]
            attack.observe(make_block(phi[rows], keep[rows], start, x[order]))
        attacks.append(attack._drawn.columns())
    lowest = np.sort(quantile_regression._digests(x))[:60]
    for one, other in zip(*attacks, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(attacks[0][0], lowest)


def test_the_regression_finds_mean_and_spread_but_for_penalty_and_early_stop(monkeypatch):
    rng = np.random.default_rng(2)

    def drawn(count):
        features = rng.normal(size=(count, 2))
        return features, 30 + 5 * features[:, 0], np.exp(0.5 * features[:, 1])

    features, place, spread = drawn(20_000)
    values = place + spread * rng.normal(size=20_000)
    new, place, spread = drawn(200)
    scores = [fit_normal(features, values).standardized(new, (place + 2 * spread)[:, None])]
    monkeypatch.setattr(gaussian_regression, "RIDGE", 1e-6)
    monkeypatch.setattr(gaussian_regression, "_STEPS", 20)
    scores.append(fit_normal(features, values).standardized(new, (place + 2 * spread)[:, None]))
    np.testing.assert_allclose(scores[1], 2, atol=0.15)
    assert scores[0].std() > 2 * scores[1].std()


def test_ranks_of_non_members_are_uniform():
    """Calibration: the share of non-members above the 99% quantile of the predicted normal is 1%."""
    phi, keep, _ = by_difficulty(4000, 2)
    scores = run(NAME, phi, keep)[~keep]
    assert np.mean(scores > norm.ppf(0.9)) == pytest.approx(0.1, abs=0.02)


def shadows(**more):
    rng = np.random.default_rng(0)
    members = rng.random((8, 60)) < 0.5
    return mia_tf.ShadowModels(rng.normal(size=(8, 60, 3)), members, rng.integers(0, 3, 60), **more)


def test_a_record_without_x_refuses_it_by_name_and_leaves_it_out_otherwise():
    with refuses("attacks", NAME, "x"):
        mia_tf.audit(shadows(), attacks=["yeom", NAME])
    for record, left_out in ((shadows(), {NAME}), (shadows(x=examples(60)), set())):
        known = [name for name in study.check_attacks(None) if "epochs" not in attack_classes()[name].needs]
        assert set(known) - set(study._possible(known, Recording(record), named=False)) == left_out


@pytest.mark.parametrize(
    "x",
    [examples(59), examples(60)[:, 0], np.full((60, 2), np.inf), np.full((60, 2), "a")],
    ids=["rows", "flat", "infinite", "text"],
)
def test_x_is_numbers_of_every_example(x):
    with refuses("x"):
        shadows(x=x)


def test_a_logdir_of_pictures_has_x_and_so_has_one_finished_model(tmp_path):
    dataset = make_dataset()
    store = Store.create(tmp_path / "run", {}, lambda: dataset)
    rng = np.random.default_rng(1)
    for index in range(6):
        logits = rng.normal(size=(64, 1, 1, 4)).astype(np.float32)
        store.write(ModelRecord(index, rng.random(64) < 0.5, logits, 1, {"num_experiments": 6}, {}))
    record = mia_tf.ShadowModels.open(tmp_path / "run")
    np.testing.assert_array_equal(record.x, dataset.images)
    audit = mia_tf.audit(record, target=rng.normal(size=(64, 4)), target_members=rng.random(64) < 0.5, attacks=[NAME])
    assert np.isfinite(audit.scores(NAME)).all()
    assert isinstance(record.in_memory().x, np.ndarray) and not isinstance(record.in_memory().x, np.memmap)
