import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses

from mia_tf.config import ExperimentConfig
from mia_tf.subsets import certainly_have, membership, model_seed
from mia_tf.validation import InputError


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 70), st.floats(0.02, 0.98), st.integers(20, 60), st.integers(0, 9))
def test_balanced_plan_has_every_example_in_equally_many_models(num_models, pkeep, num_examples, seed):
    config = ExperimentConfig(num_experiments=num_models, pkeep=pkeep, seed=seed)
    num_in = int(pkeep * num_models)
    if not 0 < num_in < num_models:
        with refuses("pkeep"):
            membership(config, num_examples)
        return
    try:
        keep = membership(config, num_examples)
    except InputError:  # a model with fewer than two examples, possible only at the smallest shares
        assert pkeep < 0.4
        return
    assert keep.shape == (num_models, num_examples) and keep.dtype == bool
    np.testing.assert_array_equal(keep.sum(axis=0), num_in)


def test_one_model_alone_is_for_coins_only():
    alone = membership(ExperimentConfig(num_experiments=1, subsets="bernoulli", seed=3), 100)
    more = membership(ExperimentConfig(num_experiments=2, subsets="bernoulli", seed=3), 100)
    np.testing.assert_array_equal(alone, more[:1])
    with refuses("num_experiments"):
        ExperimentConfig(num_experiments=1)


def test_balanced_plan_spreads_examples_evenly_over_the_models():
    keep = membership(ExperimentConfig(num_experiments=64, pkeep=0.7), 10_000)
    # A model's share is a mean of 10,000 draws with standard deviation 0.46; five of its own.
    assert np.abs(keep.mean(axis=1) - 44 / 64).max() < 5 * 0.46 / 100
    # Two models share members as chance has it: neither the same subsets nor complements.
    together = (keep[0] & keep[1]).mean()
    assert together == pytest.approx(44 * 43 / (64 * 63), abs=0.025)


def test_bernoulli_plan_keeps_each_example_with_probability_pkeep():
    keep = membership(ExperimentConfig(num_experiments=50, pkeep=0.3, subsets="bernoulli"), 6000)
    assert keep.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / keep.size))
    # The count of an example's models is binomial, not fixed.
    assert keep.sum(axis=0).var() == pytest.approx(50 * 0.21, rel=0.1)


def test_a_bernoulli_plan_can_grow():
    """The first models of a larger plan have the same subsets, also beyond the examples that are drawn at once."""
    few, many = (ExperimentConfig(num_experiments=count, pkeep=0.3, subsets="bernoulli") for count in (8, 12))
    np.testing.assert_array_equal(membership(many, 9000)[:8], membership(few, 9000))
    subsets = membership(many, 9000)
    assert len(np.unique(subsets, axis=0)) == 12
    # Of two models independent of each other: a correlation has a standard deviation of 1 / sqrt(9000).
    assert np.abs(np.corrcoef(subsets) - np.eye(12)).max() < 5 / np.sqrt(9000)


def test_equal_seeds_agree_and_others_differ():
    config = ExperimentConfig(num_experiments=8)
    np.testing.assert_array_equal(membership(config, 100), membership(config, 100))
    assert (membership(config, 100) != membership(dataclasses.replace(config, seed=1), 100)).any()
    seeds = [model_seed(s, i) for s in range(3) for i in range(50)]
    assert len(set(seeds)) == 150 and model_seed(1, 2) == seeds[52]


def test_only_subset_leaves_later_examples_out_of_every_model():
    keep = membership(ExperimentConfig(num_experiments=8, only_subset=30), 100)
    assert not keep[:, 30:].any()
    assert (keep[:, :30].sum(axis=0) == 4).all()


def test_training_on_50000_of_60000_examples_is_five_sixths():
    # LiRA, section VII.B: of 256 models 213 have an example and 43 have not.
    keep = membership(ExperimentConfig(num_experiments=256, pkeep=5 / 6), 600)
    assert (keep.sum(axis=0) == 213).all() and (~keep).sum(axis=0).max() == 43
    assert keep.sum(axis=1).mean() == pytest.approx(600 * 213 / 256)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 40),
    st.floats(0.02, 0.98),
    st.sampled_from(["balanced", "bernoulli"]),
    st.sampled_from([None, 150]),
    st.integers(1, 400),
)
def test_what_is_certain_without_a_plan_is_true_of_the_plan(num_models, pkeep, plan, only_subset, count):
    config = ExperimentConfig(num_experiments=num_models, pkeep=pkeep, subsets=plan, only_subset=only_subset)
    if certainly_have(config, 500, count):
        assert membership(config, 500).sum(axis=1).min() >= count


@pytest.mark.parametrize("plan", ["balanced", "bernoulli"])
def test_the_bound_decides_whatever_is_not_close(plan):
    config = ExperimentConfig(num_experiments=64, subsets=plan)  # 2,625 examples per model, with a deviation of 36
    assert certainly_have(config, 5250, 2200)
    assert not certainly_have(config, 5250, 2500) and not certainly_have(config, 5250, 2700)
    assert not certainly_have(dataclasses.replace(config, only_subset=4000), 5250, 2200)


def test_a_plan_that_is_refused_is_never_certain():
    refused = {"num_experiments": 4, "pkeep": 0.2}  # no model in
    assert not certainly_have(ExperimentConfig(**refused), 10_000, 1)
    with refuses("pkeep"):
        membership(ExperimentConfig(**refused), 10)
    assert not certainly_have(ExperimentConfig(num_experiments=4, only_subset=2), 10_000, 1)
