"""What every training engine must do; a new engine joins by its entry in ENGINES."""

import dataclasses
import resource
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import make_dataset

from mia_tf import models
from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.records import ModelFailure, ModelRecord
from mia_tf.training import private, single
from mia_tf.training.accounting import guarantee
from mia_tf.training.schedules import example_order


def private_engine(dataset, config):
    """DP-SGD without noise does all that the reference engine does."""
    privacy = PrivacyConfig(noise_multiplier=0.0, sampling="shuffle", microbatch=4)
    norm = "batch" if config.arch.startswith("cnn") else "group"
    config = dataclasses.replace(config, clip_norm=0.0, norm=norm, privacy=privacy)
    experiment = ExperimentConfig(training=config, pkeep=PKEEP)
    return private.PrivateEngine(dataset, config, guarantee(experiment, len(dataset.images)))


ENGINES = {"single": single.SingleEngine, "private": private_engine}
PKEEP = 0.6
SMALL = TrainingConfig(arch="cnn4-2-max", lr=0.05, batch=8, epochs=12, augment="none", queries=2)


@pytest.fixture(params=ENGINES)
def engine_of(request):
    return ENGINES[request.param]


def members_of(dataset, count, seed=0):
    draws = np.random.default_rng(seed).uniform(size=(count, len(dataset.images)))
    return draws.argsort(axis=1).argsort(axis=1) < round(PKEEP * len(dataset.images))


@pytest.fixture(scope="module")
def toy():
    return make_dataset()


def test_it_learns_and_its_record_is_whole(engine_of, toy):
    config = dataclasses.replace(SMALL, epochs=40)
    members = members_of(toy, 2)
    records = list(engine_of(toy, config).train(members, [1, 2]))
    assert [r.index for r in records] == [0, 1]
    for record, keep in zip(records, members, strict=True):
        assert isinstance(record, ModelRecord)
        np.testing.assert_array_equal(record.keep, keep)
        assert record.logits.shape == (len(toy.images), 1, 2, 4) and record.logits.dtype == np.float32
        accuracy = (record.logits[:, 0, 0].argmax(1) == toy.labels)[keep].mean()
        assert accuracy == record.metrics["train_accuracy_all"]
        assert accuracy > 0.9 and not record.metrics["at_chance"]
        assert {"test_accuracy_all", "test_accuracy_over", "test_accuracy_under"} <= set(record.metrics)
        assert record.metrics["steps"] == 40 * keep.sum() // 8
        assert record.hparams["arch"] == "cnn4-2-max" and record.epoch == 40


@pytest.mark.parametrize("augment", ["none", "weak"])
def test_equal_seeds_agree_and_others_differ(engine_of, toy, augment):
    config = dataclasses.replace(SMALL, augment=augment, epochs=3)
    members = np.repeat(members_of(toy, 1), 3, axis=0)
    first, again, other = engine_of(toy, config).train(members, [7, 7, 8])
    np.testing.assert_array_equal(first.logits, again.logits)
    assert np.abs(first.logits - other.logits).max() > 1e-3


@pytest.mark.parametrize("arch", ["cnn4-2-max", "resnet9"])
def test_a_model_does_not_depend_on_the_one_before(engine_of, toy, arch):
    config = dataclasses.replace(SMALL, arch=arch, epochs=1)
    members = members_of(toy, 2)
    _, second = engine_of(toy, config).train(members, [1, 2])
    (alone,) = engine_of(toy, config).train(members[1:], [2])
    np.testing.assert_array_equal(second.logits, alone.logits)


def test_only_members_are_trained_on(engine_of, toy):
    members = members_of(toy, 1)
    images, labels = toy.images.copy(), toy.labels.copy()
    images[~members[0]] = 255 - images[~members[0]]
    labels[~members[0]] = (labels[~members[0]] + 1) % 4
    changed = dataclasses.replace(toy, images=images, labels=labels)
    config = dataclasses.replace(SMALL, augment="weak")
    (one,), (two,) = (engine_of(data, config).train(members, [3]) for data in (toy, changed))
    np.testing.assert_array_equal(one.logits[members[0]], two.logits[members[0]])
    assert (one.logits[~members[0]] != two.logits[~members[0]]).any()


def slow_training(dataset, keep, seed, config):
    """The published optimiser written out in NumPy, one gradient of Keras' model after another."""
    model = models.build(config.arch, dataset.images.shape[1:], dataset.num_classes, seed)
    weights = [w.numpy().astype(np.float64) for w in model.trainable_variables]
    velocity = [np.zeros_like(w) for w in weights]
    rows = np.flatnonzero(keep)
    total = config.epochs * len(rows) // config.batch
    order = example_order(rows, config.batch, config.epochs, total, np.random.default_rng([seed, 1]))
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for step, batch in enumerate(b for epoch in order for b in epoch):
        x = (dataset.images[batch] / 127.5 - 1).astype(np.float32)
        with tf.GradientTape() as tape:
            penalty = sum(tf.reduce_sum(v.value**2) for v in model.trainable_variables if v.path.endswith("kernel"))
            loss = loss_of(dataset.labels[batch], model(x, training=True)) + config.weight_decay / 2 * penalty
        gradients = [np.array(g, np.float64) for g in tape.gradient(loss, [v.value for v in model.trainable_variables])]
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        scale = min(1.0, config.clip_norm / norm) if config.clip_norm else 1.0
        progress = step / total
        rate = config.lr * np.cos(7 * np.pi * progress / 16) * min(1, progress / config.warmup)
        for w, v, g, variable in zip(weights, velocity, gradients, model.trainable_variables, strict=True):
            v[:] = 0.9 * v + scale * g
            w -= rate * v
            variable.assign(w)
    return model.predict((dataset.images / 127.5 - 1).astype(np.float32), verbose=0)


@pytest.mark.parametrize("arch, clip_norm", [("cnn4-2-mean", 0.0), ("cnn4-2-max", 0.05), ("resnet9", 1.0)])
def test_it_is_the_published_optimiser(toy, arch, clip_norm):
    """The reference engine; others are compared with it in tests of their own."""
    config = dataclasses.replace(
        SMALL, arch=arch, epochs=2, clip_norm=clip_norm, weight_decay=0.05, warmup=0.2, queries=1
    )
    # With seed 0, an input of resnet9's ReLUs comes within rounding of zero, and the paths part.
    members = members_of(toy, 1, seed=1)
    (record,) = single.SingleEngine(toy, config).train(members, [11])
    expected = slow_training(toy, members[0], 11, config)
    # float32 rounding over nine steps; logits are of order one.
    np.testing.assert_allclose(record.logits[:, 0, 0], expected, atol=2e-3)


def test_batch_norm_answers_in_inference_mode(engine_of, toy):
    config = dataclasses.replace(SMALL, arch="resnet9", epochs=1, queries=1)
    members = members_of(toy, 1)
    out = np.flatnonzero(~members[0])
    images = toy.images.copy()
    images[out[1:]] = 255
    changed = dataclasses.replace(toy, images=images)
    (one,), (two,) = (engine_of(data, config).train(members, [3]) for data in (toy, changed))
    # With batch statistics the first outsider's logits would move with its neighbours'.
    np.testing.assert_allclose(one.logits[out[0]], two.logits[out[0]], rtol=1e-5, atol=1e-5)


def test_a_diverging_model_is_named_and_the_others_go_on(engine_of, toy, monkeypatch):
    build = models.build

    def build_with_one_bad(arch, shape, classes, seed, norm):
        model = build(arch, shape, classes, seed, norm)
        if seed == 13:
            model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
        return model

    monkeypatch.setattr(models, "build", build_with_one_bad)
    bad, good = engine_of(toy, SMALL).train(members_of(toy, 2), [13, 1])
    assert isinstance(bad, ModelFailure) and bad.index == 0
    assert "step 1 of" in bad.reason and "learning rate" in bad.reason
    assert isinstance(good, ModelRecord)


def test_a_rate_that_is_far_too_high_ends_with_its_step(engine_of, toy):
    config = dataclasses.replace(SMALL, lr=1e8, clip_norm=0.0, warmup=0.0)
    (failure,) = engine_of(toy, config).train(members_of(toy, 1), [1])
    assert isinstance(failure, ModelFailure) and "not finite" in failure.reason and "1e+08" in failure.reason


def test_evaluation_checkpoints_and_early_stopping(engine_of, toy):
    config = dataclasses.replace(SMALL, epochs=30, eval_steps=1, patience=3, save_steps=2, keep_ckpt=True, ema=0.5)
    (record,) = engine_of(toy, config).train(members_of(toy, 1), [1])
    history = record.metrics["history"]
    assert len(history) == record.epoch
    accuracies = [h["test_accuracy_all"] for h in history]
    best = int(np.argmax(accuracies))
    assert record.epoch == 30 or record.epoch - (best + 1) == 4
    assert set(record.checkpoints) == {e for e in range(1, record.epoch + 1) if e % 2 == 0} | {record.epoch}
    engine = engine_of(toy, config)
    engine.set_weights(record.checkpoints[record.epoch])
    np.testing.assert_array_equal(engine.query(2), record.logits)


def test_averaged_weights_are_the_debiased_mean_of_the_path(toy):
    config = dataclasses.replace(SMALL, epochs=1, ema=0.8)
    engine = single.SingleEngine(toy, config)
    path = []
    original = engine._epoch

    def one_step_at_a_time(order, seed, first, total):
        for k in range(len(order)):
            loss, _ = original(order[k : k + 1], seed, np.int32(first + k), total)
            path.append([w.numpy() for w in engine._weights])
        return loss, np.int32(len(order))

    engine._epoch = one_step_at_a_time
    list(engine.train(members_of(toy, 1), [1]))
    steps = len(path)
    shares = np.array([0.2 * 0.8 ** (steps - 1 - t) for t in range(steps)]) / (1 - 0.8**steps)
    for k, average in enumerate(engine._averages):
        expected = sum(share * weights[k] for share, weights in zip(shares, path, strict=True))
        np.testing.assert_allclose(average.numpy() / (1 - 0.8**steps), expected, atol=1e-5)


def test_memory_does_not_grow_with_the_number_of_models(toy):
    engine = single.SingleEngine(toy, dataclasses.replace(SMALL, arch="wrn28-1"))

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    for seed in range(3):
        engine._reset(seed)
    before = resident()
    for seed in range(10):
        engine._reset(seed)
    # Keras kept every model that was ever built: 50 MB for these ten.
    assert resident() - before < 15


def test_the_epoch_is_compiled_once(toy):
    engine = single.SingleEngine(toy, dataclasses.replace(SMALL, epochs=2))
    members = np.zeros((2, len(toy.images)), bool)
    members[0, :20] = members[1, 5:60] = True
    list(engine.train(members, [1, 2]))
    assert engine._epoch.experimental_get_tracing_count() == 1
