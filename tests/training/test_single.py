"""The reference engine against the published optimiser, and its memory."""

import dataclasses
import resource
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from engine_helpers import SMALL, members_of
from toys import make_dataset

from mia_tf import models
from mia_tf.training import single
from mia_tf.training.schedules import example_order


@pytest.fixture(scope="module")
def toy():
    return make_dataset()


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
    config = dataclasses.replace(
        SMALL, arch=arch, epochs=2, clip_norm=clip_norm, weight_decay=0.05, warmup=0.2, queries=1
    )
    # With seed 0, an input of resnet9's ReLUs comes within rounding of zero, and the paths part.
    members = members_of(toy, 1, seed=1)
    (record,) = single.SingleEngine(toy, config).train(members, [11])
    expected = slow_training(toy, members[0], 11, config)
    # float32 rounding over nine steps; logits are of order one.
    np.testing.assert_allclose(record.logits[:, 0, 0], expected, atol=2e-3)


def test_answers_are_computed_in_full_float32(toy, monkeypatch):
    """Not in TF32, GPUs' default, with which training goes on afterwards."""
    engine, seen = single.SingleEngine(toy, SMALL), []
    forward = engine._forward

    def watched(*arguments):
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
        return forward(*arguments)

    monkeypatch.setattr(engine, "_forward", watched)
    engine.query(2)
    assert seen == [False, False] and tf.config.experimental.tensor_float_32_execution_enabled()


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


def test_weights_and_answers_stay_in_full_precision_where_computing_is_not(toy):
    config = dataclasses.replace(SMALL, arch="cnn4-2-max", epochs=2, queries=1, precision="bfloat16")
    engine = single.SingleEngine(toy, config)
    (low,) = engine.train(members_of(toy, 1), [3])
    (high,) = single.SingleEngine(toy, dataclasses.replace(config, precision="float32")).train(members_of(toy, 1), [3])
    assert 1e-4 < np.abs(low.logits - high.logits).max() < 0.5  # bfloat16 rounds to 1 in 256, over five layers
    assert low.hparams["precision"] == "bfloat16" and "precision" not in high.hparams
    assert {str(weight.dtype) for weight in engine._model.get_weights()} == {"float32"}
    same = models.build(config.arch, toy.images.shape[1:], toy.num_classes, seed=0)
    same.set_weights(engine._model.get_weights())
    expected = same.predict((toy.images / 127.5 - 1).astype(np.float32), verbose=0)
    np.testing.assert_allclose(low.logits[:, 0, 0], expected, atol=1e-5)  # float32, in batches of other sizes


@pytest.mark.parametrize("step_seconds, most", [(0.05, 1), (1e-4, 4)], ids=["slow", "fast"])
def test_the_speed_of_slow_steps_is_that_of_few(toy, monkeypatch, step_seconds, most):
    engine, taken = single.SingleEngine(toy, SMALL), []

    def epoch(order, *_):
        taken.append(len(order))
        time.sleep(step_seconds * len(order))
        return 0.0, len(order)

    monkeypatch.setattr(engine, "_epoch", epoch)
    speed = engine.images_per_second(0.06)
    assert taken[:2] == [1, 1] and max(taken) == most
    assert 0 < speed <= SMALL.batch / step_seconds
