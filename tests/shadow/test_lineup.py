"""Which shadow models must not be used against a target of another LOGDIR."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses

from mia_tf.config import ExperimentConfig
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.leave_one_out import IN, OUT, FitsOfOthers, LeaveOneOut, LimitedLeaveOneOut, drawn_starts
from mia_tf.shadow.lineup import NONE, Lineup
from mia_tf.shadow.sweep import Sweep
from mia_tf.subsets import membership

STATISTICS = {
    "medians": np.median,
    "means": np.mean,
    "squares": lambda x: np.square(x - x.mean()).sum(),
}
STARTS = drawn_starts(0, 20)


def plan(count, seed, num_models=8, **settings):
    return membership(ExperimentConfig(num_experiments=num_models, seed=seed, **settings), count).T


@pytest.mark.parametrize("subsets", ["balanced", "bernoulli"])
@pytest.mark.parametrize("only_subset", [None, 150])
def test_plans_of_two_seeds_have_no_twins_and_those_of_one_have_all(subsets, only_subset):
    one, same, other = (plan(300, seed, subsets=subsets, only_subset=only_subset) for seed in (1, 1, 2))
    lineup = Lineup.of_two_logdirs(np.concatenate([one[:, :5], other], axis=1), 5)
    assert lineup.apart and lineup.num_targets == lineup.first_shadow == 5
    np.testing.assert_array_equal(lineup.twins, NONE)
    lineup = Lineup.of_two_logdirs(np.concatenate([one[:, [3, 0, 6]], same], axis=1), 3)
    np.testing.assert_array_equal(lineup.twins, [3, 0, 6])


def test_targets_with_and_without_twins_may_stand_together():
    one, other = plan(300, 1), plan(300, 2)
    lineup = Lineup.of_two_logdirs(np.column_stack([other[:, 0], one[:, 2], one]), 2)
    np.testing.assert_array_equal(lineup.twins, [NONE, 2])


@pytest.mark.parametrize("pkeep", [0.4, 0.6, 0.8])
def test_subsets_that_were_made_of_one_another_are_refused(pkeep):
    # One seed and another --pkeep: of each pair of models one subset holds the other.
    for subsets in ("balanced", "bernoulli"):
        keep = np.concatenate([plan(600, 1, 10, subsets=subsets, pkeep=p) for p in (0.5, pkeep)], axis=1)
        with refuses("shadows", advice="another --seed") as error:
            Lineup.of_two_logdirs(keep, 10)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("subsets", ["balanced", "bernoulli"])
def test_other_models_of_the_targets_balanced_plan_are_refused(subsets):
    """On noise they gave LiRA an AUROC of 0.45: every example is IN a fixed number of the plan's models."""
    keep = plan(600, 1, 16, subsets=subsets)
    if subsets == "bernoulli":  # each membership is drawn by itself
        assert (Lineup.of_two_logdirs(keep, 8).twins == NONE).all()
        return
    with refuses("shadows", "other models of the targets' own plan"):
        Lineup.of_two_logdirs(keep, 8)


def test_two_shadow_models_of_one_subset_are_refused():
    one = plan(300, 1)
    with refuses("shadows", "a subset of shadow model 8 that is too much like that of target 0"):
        Lineup.of_two_logdirs(np.column_stack([one[:, 0], one, one[:, 0]]), 1)


def randoms(seed, num_targets, num_shadow):
    rng = np.random.default_rng(seed)
    keep = rng.random((20, num_targets + num_shadow)) < 0.5
    return rng.normal(size=(20, 2, num_targets + num_shadow)), keep


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9))
def test_without_twins_every_target_is_judged_by_all_shadow_models(seed, num_targets, num_shadow):
    values, keep = randoms(seed, num_targets, num_shadow)
    fits = FitsOfOthers(values, keep, STARTS, Lineup(num_targets, num_targets, np.full(num_targets, NONE)))
    for side, members in ((IN, keep), (OUT, ~keep)):
        members = members[:, num_targets:]
        np.testing.assert_array_equal(fits.counts[side], members.sum(axis=1))
        for name, statistic in STATISTICS.items():
            fitted = getattr(fits, name)[side]
            for i, models in enumerate(members):
                for q in range(2):
                    expected = statistic(values[i, q, num_targets:][models]) if models.any() else np.nan
                    np.testing.assert_allclose(fitted[i, q, :num_targets], expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_twin_is_left_out_as_the_target_would_be(seed):
    values, keep = randoms(seed, 3, 8)
    keep[:, :3] = keep[:, [5, 3, 10]]
    fits = FitsOfOthers(values, keep, STARTS, Lineup(3, 3, np.array([2, 0, 7])))
    expected = LeaveOneOut(values[..., 3:], keep[:, 3:], STARTS)
    for name in STATISTICS:
        np.testing.assert_array_equal(getattr(fits, name)[..., :3], getattr(expected, name)[..., [2, 0, 7]])
    np.testing.assert_array_equal(fits.counts, expected.counts)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_fits_do_not_depend_on_what_a_target_without_a_twin_trained_on(seed, limited):
    values, keep = randoms(seed, 3, 10)
    keep[:, 1] = keep[:, 3 + 4]
    chosen = None
    if limited:
        chosen = np.zeros(keep.shape, bool)
        for row, members in zip(chosen[:, 3:], keep[:, 3:], strict=True):
            sides = [np.flatnonzero(side)[:3] for side in (members, ~members)]
            if min(map(len, sides)) == 3:
                row[np.concatenate(sides)] = True
    lineup = Lineup(3, 3, np.array([NONE, 4, NONE]))
    changed = keep.copy()
    changed[:, [0, 2]] = ~changed[:, [0, 2]]
    one, two = (FitsOfOthers(values, each, STARTS, lineup, chosen) for each in (keep, changed))
    inner = LeaveOneOut(values[..., 3:], keep[:, 3:], STARTS)
    if limited:
        inner = LimitedLeaveOneOut(values[..., 3:], keep[:, 3:], STARTS, chosen[:, 3:])
    np.testing.assert_array_equal(one.counts, inner.counts)
    for name in STATISTICS:
        values_of_fit, fitted = getattr(one, name), getattr(inner, name)
        np.testing.assert_array_equal(values_of_fit[..., 1], fitted[..., 4])
        if not limited:  # else by which K pairs goes by position on the side, as for any model
            np.testing.assert_array_equal(values_of_fit, getattr(two, name))
        # A fit of some pair of models left out, like those of the shadow models among themselves.
        for target in (0, 2):
            same = (values_of_fit[..., target, None] == fitted) | (
                np.isnan(values_of_fit[..., target, None]) & np.isnan(fitted)
            )
            assert same.all(axis=(0, 2)).any(axis=-1).all()


def opposites(num_models, num_examples, seed=0):
    half = np.random.default_rng(seed).random((num_examples, num_models // 2)) < 0.5
    return np.concatenate([half, ~half], axis=1)


def test_opposite_models_are_found_as_pairs():
    np.testing.assert_array_equal(Lineup.of_one_record(opposites(8, 200)).pairs, [4, 5, 6, 7, 0, 1, 2, 3])
    assert Lineup.of_one_record(plan(300, 1)).pairs is None
    assert Lineup.of_one_record(opposites(8, 60)).pairs is None  # may be chance
    keep = opposites(8, 200)
    lineup = Lineup.of_two_logdirs(np.column_stack([keep[:, 5], keep]), 1)
    assert lineup.twins == [5] and lineup.pairs is not None


def test_models_of_one_subset_and_some_opposites_are_refused():
    one = plan(300, 1)
    with refuses("mine", "models 0 and 8, trained on the same examples", advice="ShadowModels.subset"):
        Lineup.of_one_record(np.column_stack([one, one[:, 0]]), "mine")
    same = np.column_stack([one[:, 0]] * 4)
    with refuses("mine", "models that were all trained on the same examples", advice="a subset each"):
        Lineup.of_one_record(same, "mine")
    assert Lineup.of_one_record(same | True).num_targets == 4  # of which there are scores alone
    with refuses("shadows", "models that were all trained on the same examples"):
        Lineup.of_two_logdirs(np.column_stack([one[:, 1], same]), 1)
    with refuses("mine", "model 8, trained on exactly the examples that model 0 was not", advice="all or none"):
        Lineup.of_one_record(np.column_stack([one, ~one[:, 0]]), "mine")
    with refuses("shadows", "shadow model 4, trained on exactly what target 0 was not", advice="another --seed"):
        Lineup.of_two_logdirs(np.column_stack([~one[:, 4], one]), 1)


@pytest.mark.parametrize("chosen", [False, True])
def test_the_opposite_of_a_target_is_its_partner(chosen):
    """Means of distinct powers of two show which models a fit rests on."""
    keep = opposites(8, 200)
    lineup, powers = Lineup.of_one_record(keep), np.broadcast_to(np.exp2(np.arange(8.0)), (200, 1, 8))
    block = Block(0, np.zeros(200, np.int64), keep, powers, lambda: np.zeros(0), lineup=lineup)
    per_side = 2 if chosen else 3
    if chosen:
        block = dict(Sweep([2], keep, 0).blocks(block))[2]
    used = np.rint(block.leave_one_out(powers).means[:, :, 0] * per_side).astype(int)
    for side, example, target in np.ndindex(used.shape):
        models = [model for model in range(8) if used[side, example, target] >> model & 1]
        assert len(models) == per_side and not {target, lineup.pairs[target]} & set(models)
        assert all(keep[example, model] == (side == IN) for model in models)
