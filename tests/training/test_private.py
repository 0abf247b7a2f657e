"""The private engine: plain SGD without noise and clip, the stated noise, Poisson batches, exact accounts."""

import dataclasses
import resource
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from toys import make_dataset

from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.training import schedules
from mia_tf.training.accounting import guarantee
from mia_tf.training.private import PrivateEngine
from mia_tf.training.single import SingleEngine

PKEEP = 0.6
PLAIN = TrainingConfig(arch="cnn4-2-max", lr=0.05, batch=8, epochs=4, augment="none", queries=1, clip_norm=0.0)
NO_NOISE = PrivacyConfig(noise_multiplier=0.0, l2_norm_clip=1e6, sampling="shuffle", microbatch=8)


@pytest.fixture(scope="module")
def toy():
    return make_dataset()


def private_engine(dataset, config=PLAIN, **privacy):
    config = dataclasses.replace(config, privacy=dataclasses.replace(NO_NOISE, **privacy))
    return PrivateEngine(
        dataset, config, guarantee(ExperimentConfig(training=config, pkeep=PKEEP), len(dataset.images))
    )


def members_of(dataset, count=1):
    """Training sets of exactly the nominal size."""
    size = round(PKEEP * len(dataset.images))
    keep = np.zeros((count, len(dataset.images)), bool)
    for k in range(count):
        keep[k, np.random.default_rng(k).permutation(len(dataset.images))[:size]] = True
    return keep


@pytest.mark.parametrize(
    "changes",
    [{}, {"augment": "weak"}, {"arch": "resnet9", "norm": "group", "epochs": 1}, {"weight_decay": 0.05, "batch": 11}],
)
def test_without_noise_and_clip_it_is_plain_sgd(toy, changes):
    config, keep = dataclasses.replace(PLAIN, **changes), members_of(toy)
    (plain,) = SingleEngine(toy, config).train(keep, [3])
    (private,) = private_engine(toy, config).train(keep, [3])
    assert private.metrics["steps"] == plain.metrics["steps"]
    # float32 rounding over the steps; logits are of order one.
    np.testing.assert_allclose(private.logits, plain.logits, atol=2e-3)


def test_the_microbatch_changes_nothing_but_rounding(toy):
    config = dataclasses.replace(PLAIN, augment="weak", batch=13)
    records = []
    for microbatch in (1, 5, 100):
        engine = private_engine(toy, config, l2_norm_clip=0.1, noise_multiplier=0.3, microbatch=microbatch)
        records += engine.train(members_of(toy), [5])
    for record in records[1:]:
        np.testing.assert_allclose(record.logits, records[0].logits, atol=2e-3)


def test_steps_are_computed_in_full_float32(toy, monkeypatch):
    """In TF32, GPUs' default, one example counted for up to a thousandth more than the clip."""
    engine, seen = private_engine(toy), []
    clipped_sum = engine._clipped_sum

    def watched(*arguments):
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
        return clipped_sum(*arguments)

    monkeypatch.setattr(engine, "_clipped_sum", watched)
    engine._epoch([np.arange(8, dtype=np.int32)], np.int32(0), np.int32(0), np.int32(10))
    assert seen == [False] and tf.config.experimental.tensor_float_32_execution_enabled()


def noise_of_one_step(engine, seed, rows):
    """(D,): what a step adds to the sum of the clipped gradients."""
    engine._reset(seed)
    _, clipped = engine._clipped_sum(np.asarray(rows, np.int32), np.zeros(2, np.int32))
    seen = {}
    engine._private_update = lambda noised, *_: seen.update(noised=noised.numpy())
    engine._epoch([np.asarray(rows, np.int32)], np.int32(0), np.int32(0), np.int32(10))
    return seen["noised"] - clipped.numpy()


def test_the_noise_has_the_stated_standard_deviation(toy):
    config = dataclasses.replace(PLAIN, arch="cnn16-2-max")
    engine = private_engine(toy, config, noise_multiplier=1.3, l2_norm_clip=0.5)
    noise = noise_of_one_step(engine, 1, [1, 2, 3])
    count = len(noise)
    assert count > 10_000
    # A sample's standard deviation is within four of its own, 1 / sqrt(2 n); its mean likewise.
    assert abs(noise.std() / (1.3 * 0.5) - 1) < 4 / np.sqrt(2 * count)
    assert abs(noise.mean()) < 4 * 0.65 / np.sqrt(count)
    assert stats.kstest(noise / 0.65, "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 4 / np.sqrt(count)
    other = noise_of_one_step(engine, 2, [1, 2, 3])
    assert np.abs(np.corrcoef(noise, other)[0, 1]) < 4 / np.sqrt(count)


def test_an_empty_batch_is_a_step_of_noise_alone(toy):
    engine = private_engine(toy, noise_multiplier=1.0, l2_norm_clip=2.0)
    loss, clipped = engine._clipped_sum(np.zeros(0, np.int32), np.zeros(2, np.int32))
    assert loss == 0 and not clipped.numpy().any()
    before = [w.numpy() for w in engine._weights]
    _, completed = engine._epoch([np.zeros(0, np.int32)], np.int32(0), np.int32(5), np.int32(10))
    assert completed == 1
    assert all((w.numpy() != b).any() for w, b in zip(engine._weights, before, strict=True))


def test_a_models_noise_follows_from_its_own_seed(toy):
    """Whatever was trained before, on an engine that is compiled or not, and whatever else is drawn or kept."""
    config = dataclasses.replace(PLAIN, augment="weak", epochs=2)
    keep, noise = members_of(toy, 2), {"noise_multiplier": 1.0, "l2_norm_clip": 0.5, "sampling": "poisson"}
    _, second = private_engine(toy, config, **noise).train(keep, [1, 2])
    tf.random.normal([3])
    kept = private_engine(toy, dataclasses.replace(config, eval_steps=1, save_steps=1), **noise)
    (alone,) = kept.train(keep[1:], [2])
    (other,) = kept.train(keep[1:], [3])
    np.testing.assert_array_equal(second.logits, alone.logits)
    assert np.abs(other.logits - alone.logits).max() > 0.1


def test_memory_does_not_grow_with_the_number_of_steps(toy):
    engine = private_engine(toy, noise_multiplier=1.0)

    def memory_after(steps):
        engine._reset(1)
        engine._epoch([np.zeros(0, np.int32)] * steps, np.int32(0), np.int32(0), np.int32(10**6))
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    memory_after(1000)  # what is allocated once, and by what ran before
    # TensorFlow kept a kernel of 30 kB for every draw of noise: 60 MB for the 2,000 more than the first time.
    assert memory_after(1000) > memory_after(3000) - 20


@pytest.mark.parametrize("count", [1, 3, 8, 9, 17, 40])
def test_one_example_moves_the_sum_by_no_more_than_the_clip(toy, count):
    """Neighbouring batches, with and without their last example: filling up leaves the account right."""
    clip = 0.01
    engine = private_engine(toy, l2_norm_clip=clip)
    engine._reset(4)
    rows = np.arange(count, dtype=np.int32)
    with_it, without = (engine._clipped_sum(r, np.zeros(2, np.int32))[1].numpy() for r in (rows, rows[:-1]))
    # Every gradient here is longer than the clip, so one example is worth exactly it, but for the rounding of a
    # sum of `count` such.
    np.testing.assert_allclose(np.linalg.norm(with_it.astype(np.float64) - without), clip, rtol=1e-4)


def test_poisson_batches():
    """Every member is in each batch with the rate's probability, whatever the others do."""
    members, rate, steps = np.arange(100, 160), 0.1, 4000
    batches = [b for epoch in schedules.poisson_order(members, rate, 7, steps, np.random.default_rng(0)) for b in epoch]
    assert len(batches) == steps and all(len(np.unique(b)) == len(b) for b in batches)
    drawn = np.zeros((steps, 60), bool)
    for step, batch in enumerate(batches):
        drawn[step, batch - 100] = True
    # Four standard errors of a rate over 4,000 steps; sizes are binomial; no two members keep company.
    assert np.abs(drawn.mean(axis=0) - rate).max() < 4 * np.sqrt(rate * (1 - rate) / steps)
    sizes = np.bincount(drawn.sum(axis=1), minlength=61)
    expected = stats.binom.pmf(np.arange(61), 60, rate) * steps
    common = expected > 10
    assert stats.chisquare(*[np.append(v[common], v[~common].sum()) for v in (sizes, expected)]).pvalue > 1e-4
    together = np.corrcoef(drawn.T)[np.triu_indices(60, 1)]
    assert np.abs(together).max() < 5 / np.sqrt(steps)


def test_batches_of_any_size_are_compiled_once(toy):
    engine = private_engine(toy, sampling="poisson", noise_multiplier=1.0)
    list(engine.train(members_of(toy, 2), [1, 2]))
    assert engine._clipped_sum.experimental_get_tracing_count() == 1
    assert engine._private_update.experimental_get_tracing_count() == 1


def test_the_record_holds_the_guarantee(toy):
    engine = private_engine(toy, sampling="poisson", noise_multiplier=1.0)
    (record,) = engine.train(members_of(toy), [1])
    assert record.metrics["steps"] == record.hparams["steps"] == 4 * round(PKEEP * len(toy.images)) // 8
    held = {"epsilon", "epsilon_rdp", "epsilon_pld", "delta", "sampling", "sampling_rate", "steps", "noise_multiplier"}
    assert held | {"accountant", "l2_norm_clip"} <= set(record.hparams)
    assert record.hparams["epsilon"] == engine.guarantee.epsilon > 0


def test_noise_is_of_the_sum_and_divided_by_the_expected_batch(toy):
    """The update of one step, written out: w - rate (clipped sum + noise) / batch, decay after the noise."""
    config = dataclasses.replace(PLAIN, weight_decay=0.1, warmup=0.0)
    engine = private_engine(toy, config, noise_multiplier=0.7, l2_norm_clip=0.3)
    rows = np.array([3, 4, 5], np.int32)
    noise = noise_of_one_step(engine, 9, rows)
    del engine._private_update
    engine._reset(9)
    before = [w.numpy().astype(np.float64) for w in engine._weights]
    _, clipped = engine._clipped_sum(rows, np.zeros(2, np.int32))
    engine._epoch([rows], np.int32(0), np.int32(0), np.int32(10))
    noised = tf.split(clipped + noise, [w.size for w in before])
    for variable, old, part in zip(engine._model.trainable_variables, before, noised, strict=True):
        decay = 0.1 * old if variable.path.endswith("kernel") else 0.0
        gradient = part.numpy().reshape(old.shape) / 8 + decay  # 8: the expected batch, though 3 were drawn
        np.testing.assert_allclose(variable.numpy(), old - 0.05 * gradient, atol=1e-6)
