"""The headline's attack is chosen on one half of the targets and measured on the other."""

import json

import numpy as np
import pytest

from mia_tf.analysis import statistics
from mia_tf.analysis.evaluation import Population
from mia_tf.analysis.headline import headline

LEVELS = (0.1, 0.01, 0.001)
RECOMMENDED = "lira_online_fixed"


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch):
    """Rough intervals, ten times as fast."""
    monkeypatch.setattr("mia_tf.analysis.statistics.REPLICATES", 100)
    statistics.redraws.cache_clear()  # they are kept, and those of other tests are more
    yield
    statistics.redraws.cache_clear()


def run(scores, keep, attacks=None, levels=LEVELS, seed=0):
    everyone = np.ones(len(keep), bool)
    half = keep.shape[1] // 2

    def populations(targets):
        return {
            name: Population(mask, keep[:, targets], np.full(len(keep), half), keep.shape[1])
            for name, mask in (("all", everyone), ("odd", np.arange(len(keep)) % 2 == 1))
        }

    return headline(scores, attacks or list(scores), RECOMMENDED, populations, levels, seed)


def noise(rng, num_attacks=3, num_examples=300, num_targets=8):
    keep = rng.random((num_examples, num_targets)).argsort(axis=1) < num_targets // 2
    names = [RECOMMENDED, *(f"attack {k}" for k in range(1, num_attacks))]
    return {name: rng.normal(size=keep.shape).astype(np.float32) for name in names}, keep


def test_on_noise_the_best_of_many_attacks_is_no_better_than_guessing():
    """Who reports the highest of 25 rates at 1% FPR reports about 2% on pure noise; the headline reports 1%."""
    rng = np.random.default_rng(0)
    measured, highest, above = [], [], 0
    for seed in range(16):
        scores, keep = noise(rng, 25, num_examples=200)
        head = run(scores, keep, levels=(0.01,), seed=seed)
        value, low, _ = head["measured"]["all"]["metrics"]["tpr_at_fpr_0.01"]
        measured.append(value)
        above += low > 0.01
        rates = [np.mean(s[keep] > np.quantile(s[~keep], 0.99)) for s in scores.values()]
        highest.append(max(rates))
    # One measured rate has a standard error of 0.5%: 400 members and 400 non-members.
    assert np.mean(measured) == pytest.approx(0.01, abs=3 * 0.005 / 4)
    assert np.mean(highest) > 0.018
    assert above <= 2  # a probability of 0.007 if each interval misses by 2.5%


def test_the_strongest_attack_is_chosen_and_measured_on_the_other_half():
    rng = np.random.default_rng(1)
    scores, keep = noise(rng)
    scores["attack 2"] += 3 * keep
    head = run(scores, keep)
    assert (head["attack"], head["chosen"], head["num_choosing"], head["fpr"]) == ("attack 2", "halves", 4, 0.1)
    measured = head["measured"]["all"]
    assert measured["num_targets"] == 4 and measured["num_members"] + measured["num_nonmembers"] == 4 * 300
    assert measured["metrics"]["auroc"][0] == pytest.approx(0.983, abs=0.01)  # Phi(3 / sqrt 2)
    assert head["measured"]["odd"]["num_examples"] == 150
    assert json.loads(json.dumps(head, allow_nan=False)) == head


def test_the_choice_does_not_see_the_targets_that_are_measured():
    rng = np.random.default_rng(2)
    scores, keep = noise(rng)
    scores["attack 1"] += 2 * keep
    before = run(scores, keep)
    measured = np.array_split(np.random.default_rng([0, 4]).permutation(8), 2)[0]
    scores["attack 2"][:, measured] += 9 * keep[:, measured]
    assert run(scores, keep)["attack"] == before["attack"] == "attack 1"


def test_equal_rates_are_told_apart_by_auroc():
    rng = np.random.default_rng(3)
    scores, keep = noise(rng, 2)
    for name, gain in ((RECOMMENDED, 0.5), ("attack 1", 0.9)):
        # Whole numbers: at 10% false positives nothing is called a member, and both rates are 0.
        scores[name] = (rng.random(keep.shape) < np.where(keep, gain, 0.4)).astype(np.float32)
    assert run(scores, keep, levels=(0.1,))["attack"] == "attack 1"


def test_with_few_targets_nothing_is_chosen_by_results():
    rng = np.random.default_rng(4)
    scores, keep = noise(rng, num_targets=2)
    scores["attack 1"] += 9 * keep
    head = run(scores, keep)
    assert (head["attack"], head["chosen"], head["num_choosing"]) == (RECOMMENDED, "recommended", 0)
    assert head["measured"]["all"]["num_targets"] == 2
    scores[RECOMMENDED][:] = np.nan  # no model was trained on the examples
    scores["lira_offline_fixed"] = scores["attack 2"]
    assert run(scores, keep)["attack"] == "lira_offline_fixed"


def test_a_single_attack_is_measured_on_all_targets():
    scores, keep = noise(np.random.default_rng(5))
    head = run(scores, keep, attacks=["attack 1"])
    assert (head["attack"], head["chosen"]) == ("attack 1", "only")
    assert head["measured"]["all"]["num_targets"] == 8


def test_the_level_is_one_that_both_halves_resolve():
    scores, keep = noise(np.random.default_rng(6), num_examples=480)  # 960 non-members a half, 1,920 in all
    assert run(scores, keep)["fpr"] == 0.1
    assert run(scores, keep, attacks=["attack 1"])["fpr"] == 0.01
    scores, keep = noise(np.random.default_rng(6), num_examples=4, num_targets=4)  # 4 a half
    head = run(scores, keep)
    assert head["fpr"] is None and head["measured"]["all"]["metrics"]["tpr_at_fpr_0.1"] is None


def test_an_attack_without_scores_is_not_chosen():
    scores, keep = noise(np.random.default_rng(7))
    scores[RECOMMENDED][:] = np.nan
    assert run(scores, keep)["attack"] != RECOMMENDED
