"""DP-SGD in the ensemble engine, against one gradient of Keras' model after another."""

import dataclasses
import re

import jax
import numpy as np
import pytest
from engine_helpers import PKEEP, SMALL
from toys import make_dataset

from mia_tf import models
from mia_tf.config import ExperimentConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.training.accounting import guarantee
from mia_tf.training.ensemble_engine import EnsembleEngine
from mia_tf.training.ensemble_step import make_keys

CLIP = 0.3


@pytest.fixture(scope="module")
def toy():
    return make_dataset()


def start(toy, noise=0.0, microbatch=4, **changes):
    privacy = PrivacyConfig(noise_multiplier=noise, l2_norm_clip=CLIP, microbatch=microbatch)
    changes = {"clip_norm": 0.0, "weight_decay": 0.0, "warmup": 0.0, **changes}
    config = dataclasses.replace(SMALL, privacy=privacy, **changes)
    promise = guarantee(ExperimentConfig(training=config, pkeep=PKEEP), len(toy.images))
    return EnsembleEngine(toy, config, promise, ensemble_size=2, formulation="patches")


def first_step(engine, batches, seeds):
    """What one step moved the weights by, in units of the rate: for each model the (D,) gradient it took."""
    before = engine.initial_state(seeds)
    kept = [np.array(w) for w in before.weights]
    after, _ = engine.run_epoch(before, make_keys(seeds), [[b] for b in batches], np.full(len(seeds), 10**6))
    moved = [(old - np.asarray(new)) / engine.config.lr for old, new in zip(kept, after.weights, strict=True)]
    return np.concatenate([m.reshape(len(seeds), -1) for m in moved], axis=1)


def slow_sum(dataset, rows, arch, seed, norm="batch"):
    """The clipped sum, one example after another, and the largest norm before clipping."""
    model = models.build(arch, dataset.images.shape[1:], dataset.num_classes, seed, norm)
    weights = [v.value for v in model.trainable_variables]
    total, largest = 0.0, 0.0
    for row in rows:
        image = (dataset.images[row : row + 1] / 127.5 - 1).astype(np.float32)

        def loss(weights, image=image, row=row):
            logits, _ = model.stateless_call(weights, [], image, training=True)
            return -jax.nn.log_softmax(logits)[0, dataset.labels[row]]

        gradient = np.concatenate([np.asarray(g, np.float64).ravel() for g in jax.grad(loss)(weights)])
        norm_of = np.linalg.norm(gradient)
        largest = max(largest, norm_of)
        total = total + gradient * min(1.0, CLIP / norm_of)
    return total, largest


def test_steps_take_the_sum_of_clipped_gradients_over_the_expected_batch(toy):
    """Of batches of any size, smaller and larger than a microbatch, and of none."""
    engine = start(toy)
    for sizes in ((1, 4), (3, 9), (8, 0)):
        batches = [np.arange(n, dtype=np.int32) for n in sizes]
        step = first_step(engine, batches, [5, 6])
        for gradient, rows, seed in zip(step, batches, (5, 6), strict=True):
            expected, largest = slow_sum(toy, rows, SMALL.arch, seed)
            assert len(rows) == 0 or largest > 2 * CLIP  # or nothing was clipped
            # Weights of order 0.3 in float32, whose difference is divided by the rate of 0.05.
            np.testing.assert_allclose(gradient, expected / SMALL.batch, atol=2e-6 * 10)


def test_clipped_gradients_are_summed_in_full_float32(toy):
    """In TF32, cards' default, one counted for up to a thousandth more than the clip; a CPU has no such default."""
    engine = start(toy)
    rows, counts = np.zeros((1, 2, 8), np.int32), np.full((1, 2), 8, np.int32)
    state, totals = engine.initial_state([1, 2]), np.array([9, 9], np.int32)
    traced = jax.make_jaxpr(engine._step._epoch)(state, engine._data, make_keys([1, 2]), rows, counts, totals)
    precisions = re.findall(r"precision=(\S+)", str(traced))
    assert sum("HIGHEST" in found for found in precisions) == len(engine._trained.trainable_variables)


def test_group_norm_is_trained_one_example_at_a_time(toy):
    engine = start(toy, arch="resnet9", norm="group")
    rows = np.arange(5, dtype=np.int32)
    step = first_step(engine, [rows, rows], [5, 5])
    expected, _ = slow_sum(toy, rows, "resnet9", 5, norm="group")
    np.testing.assert_allclose(step[0], expected / SMALL.batch, atol=2e-4)
    np.testing.assert_array_equal(step[0], step[1])


def test_a_batch_beyond_the_room_for_it_is_whole(toy):
    engine = start(toy)
    rows = np.arange(engine._rows_a_step + 3, dtype=np.int32)
    step = first_step(engine, [rows, rows[:2]], [5, 6])
    np.testing.assert_allclose(step[0], slow_sum(toy, rows, SMALL.arch, 5)[0] / SMALL.batch, atol=2e-5)


def test_noise_has_the_promised_deviation_and_is_each_model_s_and_step_s_own(toy):
    engine, quiet = start(toy, noise=2.0), start(toy, noise=0.0)
    rows = np.arange(8, dtype=np.int32)
    state, path = engine.initial_state([5, 6]), []
    for _ in range(2):
        before = [np.array(w) for w in state.weights]
        momenta = [np.array(v) for v in state.momenta]
        state, _ = engine.run_epoch(state, make_keys([5, 6]), [[rows], [rows]], np.full(2, 10**6))
        moved = [
            (b - np.asarray(w)) / SMALL.lr - 0.9 * v for b, w, v in zip(before, state.weights, momenta, strict=True)
        ]
        path.append(np.concatenate([m.reshape(2, -1) for m in moved], axis=1))
    clean = first_step(quiet, [rows, rows], [5, 6])
    noise = path[0] - clean
    count = noise.shape[1]
    for drawn in noise:
        deviation = 2.0 * CLIP / SMALL.batch
        # A sample deviation's standard error is sigma / sqrt(2 n), a mean's sigma / sqrt(n); four of each.
        assert abs(drawn.std() / deviation - 1) < 4 / np.sqrt(2 * count)
        assert abs(drawn.mean()) < 4 * deviation / np.sqrt(count)
    # Later gradients are small beside the noise; independent draws correlate within four standard errors.
    for one, other in ((noise[0], noise[1]), (noise[0], path[1][0])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
    again = first_step(engine, [rows, rows], [5, 6])
    np.testing.assert_array_equal(again, path[0])


def test_no_two_layers_share_their_noise(toy):
    engine = start(toy, noise=100.0)
    shapes = [v.shape for v in engine._trained.trainable_variables]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    (drawn, _) = first_step(engine, [np.arange(8, dtype=np.int32)] * 2, [5, 6])
    parts = np.split(drawn, ends[:-1])
    pairs = [(i, j) for i in range(len(shapes)) for j in range(i) if shapes[i] == shapes[j]]
    assert len(pairs) >= 2  # biases of layers of equal width
    for i, j in pairs:
        assert np.abs(parts[i] - parts[j]).min() > 1e-3 * np.abs(drawn).max()


def test_the_microbatch_changes_nothing_but_rounding(toy):
    rows = np.arange(11, dtype=np.int32)
    steps = [first_step(start(toy, microbatch=size), [rows, rows[:7]], [5, 6]) for size in (1, 4, 16)]
    for other in steps[1:]:
        np.testing.assert_allclose(steps[0], other, atol=2e-5)


def test_the_record_holds_the_promise(toy):
    engine = start(toy, noise=1.0, epochs=1)
    members = np.repeat(np.arange(len(toy.images))[None] < PKEEP * len(toy.images), 2, axis=0)
    for record in engine.train(members, [1, 2]):
        assert record.metrics["steps"] == engine.guarantee.steps
        assert record.hparams["epsilon"] == engine.guarantee.epsilon and record.hparams["dp"] is True
