"""What every registered attack must satisfy; a new attack is picked up by itself."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from attack_helpers import RIGHT, area, examples, make_block, members_three_higher, membership, run
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses
from sklearn.metrics import roc_auc_score

from mia_tf.attacks import Attack, attack_classes, base
from mia_tf.attacks.base import register
from mia_tf.shadow import blocks
from mia_tf.shadow.concurrency import one_by_one
from mia_tf.shadow.leave_one_out import drawn_starts
from mia_tf.shadow.lineup import Lineup

every_attack = pytest.mark.parametrize("name", attack_classes())
seeds = st.integers(0, 2**32 - 1)
COMPARE_WITH_NONMEMBERS = {"rmia", "rmia_offline", "quantile_regression", "trajectory_rmia"}
"""Attacks that, by definition, hold the target's answer against its answers on examples it did not train on."""


@pytest.fixture(scope="module")
def recording():
    """phi (N, Q, M) of members one unit above non-members, and keep (N, M)."""
    rng = np.random.default_rng(5)
    keep = membership(rng, 60, 12)
    return rng.normal(size=(60, 2, 12)) + keep[:, None] + rng.normal(size=(60, 1, 1)), keep


def test_the_registry_holds_attacks_by_the_names_of_the_tables():
    lira = [f"lira_{kind}" for kind in ("online", "online_fixed", "offline", "offline_fixed", "offline_two_sided")]
    assert {"yeom", "shokri", "song", "sablayrolles", "rmia", *lira} <= set(attack_classes())
    assert all(issubclass(attack, Attack) for attack in attack_classes().values())


def test_a_name_is_one_attacks():
    with pytest.raises(ValueError, match=r"'yeom' of .* is already that of mia_tf.attacks.yeom"):
        register("yeom")(type("Another", (Attack,), {}))
    assert attack_classes()["yeom"].__name__ != "Another"


def test_the_decorator_without_a_name_is_refused():
    """The class once became a function, and its attack was unknown."""
    with refuses("name", "Own", 'must be what the attack is called, such as @register("my_attack")'):
        register(type("Own", (Attack,), {}))  # pyright: ignore[reportArgumentType]


def test_the_same_class_may_be_defined_again(monkeypatch):
    """A notebook's cell that defines an attack could once be run only once."""
    monkeypatch.setattr(base, "ATTACKS", dict(base.ATTACKS))
    one, again = (register("own")(type("Own", (Attack,), {})) for _ in range(2))
    assert base.ATTACKS["own"] is again is not one


@every_attack
def test_scores_every_target_on_every_example_and_leaves_the_block_as_it_is(name, recording):
    phi, keep = recording
    copies = phi.copy(), keep.copy()
    scores = run(name, phi, keep)
    assert scores.shape == keep.shape
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(phi, copies[0])
    np.testing.assert_array_equal(keep, copies[1])


@every_attack
def test_threads_that_fit_and_score_side_by_side_change_nothing(name):
    """`analyze` has one thread a core, each of which scores other examples."""
    rng = np.random.default_rng(8)
    keep = membership(rng, 60, 12)
    phi = rng.normal(size=(60, 2, 12)) + keep[:, None]
    together = Barrier(4, timeout=60)

    def fitted(run):
        attack = attack_classes()[name](12, np.random.default_rng(0))
        attack.observe(make_block(phi, keep))
        attack.fit(run)
        return attack

    def score(attack, start):
        return attack.score(make_block(phi[start : start + 5], keep[start : start + 5], start))

    def score_at_once(start):
        together.wait()
        return score(side_by_side, start)

    with ThreadPoolExecutor(4) as pool:
        side_by_side = fitted(lambda work, tasks: pool.map(lambda task: work(*task), tasks))
        scores = list(pool.map(score_at_once, range(0, 60, 5)))
    alone = fitted(one_by_one)
    np.testing.assert_array_equal(scores, [score(alone, start) for start in range(0, 60, 5)])


@every_attack
def test_scores_a_model_alone_if_it_says_so(name, recording):
    phi, keep = (array[..., :1] for array in recording)
    assert np.isfinite(run(name, phi, keep)).all() == attack_classes()[name].alone


@every_attack
def test_members_score_higher(name):
    rng = np.random.default_rng(6)
    keep = membership(rng, 300, 16)
    scores = run(name, members_three_higher(rng, keep, name), keep)
    assert area(scores, keep)[0] > 0.8


def shows_nothing(scores, keep, width):
    """The AUROC of all pairs is that of guessing, and its interval narrower than `width`.

    Of 72 intervals of 95% three or four would miss: asked for twice the width, 1 in 10,000 does by chance.
    """
    value, low, high = area(scores, keep)
    assert abs(value - 0.5) < high - low
    assert high - low < width


@every_attack
@pytest.mark.parametrize("plan, pkeep", [("balanced", 0.5), ("balanced", 0.7), ("bernoulli", 0.5), ("bernoulli", 0.7)])
@pytest.mark.parametrize("num_models", [8, 16, 64])
def test_pure_noise_gives_no_advantage(name, num_models, plan, pkeep):
    rng = np.random.default_rng([num_models, int(10 * pkeep), len(plan)])
    num_examples = 80_000 // num_models
    keep = membership(rng, num_examples, num_models, pkeep, plan)
    # Every example has its own spread and place, so that examples that weigh too much would show.
    phi = rng.normal(size=(num_examples, 2, num_models)) * rng.gamma(4, size=(num_examples, 1, 1)) / 4
    phi += rng.normal(size=(num_examples, 1, 1))
    shows_nothing(run(name, phi, keep), keep, 0.02)


@every_attack
@pytest.mark.parametrize("plan", ["balanced", "bernoulli"])
def test_models_that_differ_by_their_order_give_no_advantage(name, plan):
    """The first half answers higher than the second, as where two architectures stand one after the other."""
    rng = np.random.default_rng(len(plan))
    keep = membership(rng, 5000, 16, 0.5, plan)
    phi = rng.normal(size=(5000, 1, 16)) + np.repeat([1.0, -1.0], 8)
    shows_nothing(run(name, phi, keep), keep, 0.025)


@every_attack
@pytest.mark.parametrize("plan", ["balanced", "bernoulli"])
def test_answers_that_tie_give_no_advantage(name, plan):
    """Noise of few values, as rounded probabilities are; of three examples in five all models are equally sure."""
    rng = np.random.default_rng(len(plan))
    keep = membership(rng, 5000, 16, 0.5, plan)
    phi = np.minimum(np.round(rng.normal(1, 2, size=(5000, 1, 16))), 1)
    phi[rng.random(5000) < 0.6] = 1
    scores = run(name, phi, keep)
    shows_nothing(scores, keep, 0.025)
    if plan == "balanced":  # each target by itself: where a tie falls within one, others do not hide it
        areas = [roc_auc_score(member, score) for member, score in zip(keep.T, scores.T, strict=True)]
        assert abs(np.mean(areas) - 0.5) < 5 * 0.0082 / 4  # five standard errors of 16 areas of 2,500 and 2,500


@every_attack
def test_models_of_opposite_halves_give_no_advantage(name):
    """What one answers too high, its opposite answers too low: on each example they share it, and membership never."""
    rng = np.random.default_rng(11)
    half = membership(rng, 5000, 8)
    keep = np.concatenate([half, ~half], axis=1)
    shared = rng.normal(size=(5000, 1, 8))
    phi = rng.normal(size=(5000, 1, 16)) + np.concatenate([shared, -shared], axis=2)
    shows_nothing(run(name, phi, keep, lineup=Lineup.of_one_record(keep)), keep, 0.025)


@every_attack
def test_a_target_judged_on_one_example_does_not_show_on_another(name, recording):
    phi, keep = recording
    before = run(name, phi, keep)
    for target in (0, 7):
        for example in range(4):
            if name in COMPARE_WITH_NONMEMBERS and not keep[example, target]:
                continue
            changed = phi.copy()
            changed[example, :, target] += 9 if (phi[example, :, target] < RIGHT).all() else -9
            after = run(name, changed, keep)
            others = np.arange(len(phi)) != example
            # Equal but for rounding: sums over examples lose what is taken away again.
            np.testing.assert_allclose(after[others, target], before[others, target], rtol=1e-10)
            assert after[example, target] != before[example, target]


@every_attack
def test_examples_can_come_in_any_number_of_blocks(name, recording):
    phi, keep = recording
    np.testing.assert_allclose(run(name, phi, keep, 7), run(name, phi, keep), rtol=1e-10)


@every_attack
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_examples_can_come_in_any_order_and_queries_too(name, seed):
    rng = np.random.default_rng(seed)
    phi, keep = rng.normal(size=(12, 3, 8)), membership(rng, 12, 8)
    order, queries = rng.permutation(12), rng.permutation(3)
    with pytest.MonkeyPatch.context() as patched:  # the draw of partners is by row: each example takes its own along
        patched.setattr(blocks, "drawn_starts", lambda first, count: drawn_starts(first, count)[order])
        shuffled = run(name, phi[order][:, queries], keep[order], x=examples(12)[order])
    np.testing.assert_allclose(shuffled, run(name, phi, keep)[order], rtol=1e-9, atol=1e-12)


@every_attack
def test_examples_that_cannot_be_scored_are_nan_for_members_and_nonmembers_alike(name, recording):
    phi, keep = recording
    keep = keep.copy()
    keep[0], keep[1] = False, True
    for few, row in enumerate(range(2, 6)):
        keep[row] = np.arange(12) <= few
        keep[row + 4] = np.arange(12) > few
    missing = np.isnan(run(name, phi, keep))[2:]  # the first two have one side only
    assert (missing.all(axis=1) | ~missing.any(axis=1)).all()


@every_attack
def test_extreme_confidence_gives_no_nan(name):
    rng = np.random.default_rng(8)
    keep = membership(rng, 20, 8)
    phi = rng.normal(size=(20, 2, 8)) + 1000.0 * keep[:, None]
    phi[0] = 0.0  # all models say the same
    phi[1] = 1e6 * rng.normal(size=(2, 8))
    block = make_block(phi, keep)
    attack = attack_classes()[name](8, np.random.default_rng(0))
    attack.observe(block)
    attack.fit()
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(attack.score(block)).all()
