"""What the ensemble engine compiles: an epoch of K models, and the answers of K models, as functions of their state.

Everything is written for one model and mapped over K by JAX. The data set is there once, as uint8, and every model
gathers its own batches from it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
from jax import lax

from mia_tf import models
from mia_tf.config import TrainingConfig
from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.training import schedules, views
from mia_tf.training.private_jax import clipped_sum, noised


class State(NamedTuple):
    """K models in training; every array has K as its first axis. Arrays of NumPy or JAX, or their shapes and types.

    Attributes:
        weights, momenta: float32, one array a trainable variable.
        averages: as `weights`, the sums of the moving average; empty without.
        statistics: float32, one array a variable that is not trained (of batch normalisation).
        steps: (K,) int32, steps completed.
        running: (K,) bool, false from the step on whose loss was not finite, or where training has stopped.
    """

    weights: Sequence[Any]
    momenta: Sequence[Any]
    averages: Sequence[Any]
    statistics: Sequence[Any]
    steps: Any
    running: Any


class Keys(NamedTuple):
    """(K,) random keys of each model."""

    augmentation: jax.Array
    noise: jax.Array


def make_keys(seeds: Sequence[int]) -> Keys:
    """Random keys that follow from the models' seeds."""

    def draw(stream: int):
        words = [np.random.default_rng([seed, stream]).integers(2**32, size=2, dtype=np.uint32) for seed in seeds]
        return jax.random.wrap_key_data(jnp.asarray(np.stack(words)), impl="threefry2x32")

    return Keys(draw(schedules.AUGMENTATION), draw(schedules.NOISE))


class Data(NamedTuple):
    """(N, H, W, C) uint8 images and (N,) int32 labels on the device."""

    images: jax.Array
    labels: jax.Array


class EnsembleStep:
    """The compiled functions of one architecture and configuration.

    Args:
        model: a Keras model with JAX as its backend; only its structure is used.
        config: how it is trained.
        guarantee: of private training; None for training without.
    """

    def __init__(self, model: keras.Model, config: TrainingConfig, guarantee: PrivacyGuarantee | None):
        self._model, self._config, self._guarantee = model, config, guarantee
        self._decayed = [models.is_decayed(v) for v in model.trainable_variables]
        self.epoch = jax.jit(self._epoch, donate_argnums=0)

    def _epoch(
        self, state: State, data: Data, keys: Keys, rows: jax.Array, counts: jax.Array, totals: jax.Array
    ) -> tuple[State, jax.Array]:
        """Takes up to S steps with each of the K models.

        Args:
            state: given away; not to be used again.
            data: the data set.
            keys: of the models.
            rows: (S, K, B) int32, the examples of each step.
            counts: (S, K) int32, how many of a step's rows are examples; the others fill it up. -1 where a model
                takes no step; steps that none takes come last, and cost nothing.
            totals: (K,) int32, the steps of the whole training.

        Returns:
            The state afterwards, and (K,) the sums of the losses of the steps completed.
        """

        def step(s, carry):
            state, total_loss = carry
            step_of_all = jax.vmap(self._step, in_axes=(0, None, 0, 0, 0, 0, None))
            changed, losses = step_of_all(state, data, keys, rows[s], counts[s], totals, counts[s].max())
            active = state.running & (counts[s] >= 0)
            done = active & jnp.isfinite(losses)
            state = jax.tree.map(lambda new, old: jnp.where(like(done, new), new, old), changed, state)
            state = state._replace(running=jnp.where(active, done, state.running))
            return state, total_loss + jnp.where(done, losses, 0.0)

        steps = (counts >= 0).any(axis=1).sum()
        return lax.fori_loop(0, steps, step, (state, jnp.zeros(len(totals))))

    # ---- one model

    def _step(self, state, data, keys, rows, count, total, largest_count):
        images = data.images[rows]
        if self._config.augment != "none":
            draws = jax.random.uniform(jax.random.fold_in(keys.augmentation, state.steps), (3, len(rows)))
            images = views.augment(images, self._config.augment, draws)
        guarantee = self._guarantee
        if guarantee:
            noise_key = jax.random.fold_in(keys.noise, state.steps)
            loss, gradients = self._private_gradients(
                guarantee, state.weights, images, data.labels[rows], count, noise_key, largest_count
            )
            statistics = state.statistics
        else:
            loss, gradients, statistics = self._gradients(state, images, data.labels[rows])
        decay = self._config.weight_decay
        gradients = [g + decay * w if d else g for g, w, d in zip(gradients, state.weights, self._decayed, strict=True)]
        if self._config.clip_norm:
            gradients, _ = optax.clip_by_global_norm(self._config.clip_norm).update(gradients, optax.EmptyState())
        progress = state.steps.astype(jnp.float32) / total.astype(jnp.float32)
        rate = schedules.lira_learning_rate(self._config.lr, self._config.warmup, progress)
        momenta = [schedules.MOMENTUM * v + g for v, g in zip(state.momenta, gradients, strict=True)]
        weights = [w - rate * v for w, v in zip(state.weights, momenta, strict=True)]
        ema = self._config.ema
        averages = [ema * a + (1 - ema) * w for a, w in zip(state.averages, weights, strict=bool(state.averages))]
        return State(weights, momenta, averages, statistics, state.steps + 1, state.running), loss

    def _gradients(self, state, images, labels):
        """The mean loss of a batch, its gradients, and the statistics afterwards."""

        def loss_of(weights):
            logits, statistics = self._model.stateless_call(
                weights, state.statistics, views.to_input(images), training=True
            )
            return _losses(logits, labels).mean(), [s.astype(jnp.float32) for s in statistics]

        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.weights)
        return loss, gradients, statistics

    def _private_gradients(self, guarantee: PrivacyGuarantee, weights, images, labels, count, key, largest_count):
        """DP-SGD (Abadi et al. 2016): the mean loss of `count` examples and, as gradients, the noised sum of theirs,
        each clipped, over the EXPECTED batch size."""
        size = self._config.microbatch

        def loss_of(weights, example):
            image, label = example
            logits, _ = self._model.stateless_call(weights, [], views.to_input(image[None]), training=True)
            return _losses(logits, label[None])[0]

        def add_microbatch(part, carry):
            loss, total = carry
            start = part * size
            examples = tuple(lax.dynamic_slice_in_dim(a, start, size) for a in (images, labels))
            counts = (start + jnp.arange(size) < count).astype(jnp.float32)
            losses, clipped = clipped_sum(loss_of, weights, examples, counts, guarantee.l2_norm_clip)
            return loss + losses, [t + c for t, c in zip(total, clipped, strict=True)]

        # As many microbatches as the largest batch of the K models needs at this step.
        nothing = jnp.zeros(()), [jnp.zeros_like(w) for w in weights]
        loss, total = lax.fori_loop(0, -(-largest_count // size), add_microbatch, nothing)
        sums = noised(total, guarantee.l2_norm_clip * guarantee.noise_multiplier, key)
        gradients = [total / self._config.batch for total in sums]
        return loss / jnp.maximum(count, 1), gradients


def averaged_weights(state: State, ema: float) -> list[jax.Array]:
    """The moving averages: begun at zero and divided by 1 - ema^t when used, which is LiRA's debiased average."""
    correction = 1 - ema ** jnp.maximum(state.steps, 1)
    return [average / like(correction, average) for average in state.averages]


def make_answer(model: keras.Model, most: int):
    """Compiles the answers of at most `most` models, from `first` on, to one view of each image.

    The function takes weights, statistics, first (), images (B, H, W, C) uint8, shift (2,) and mirrored (). It returns
    (min(most, K), B, classes) float32 logits, with batch norm in inference mode.

    In full float32, because attacks see small differences; by default, cards would multiply fewer bits.
    """

    def answer(weights, statistics, first, images, shift, mirrored):
        size = min(most, len(weights[0]))
        some = jax.tree.map(lambda array: lax.dynamic_slice_in_dim(array, first, size), (weights, statistics))
        count = len(images)
        shown = views.gather_views(images, jnp.tile(shift[None], (count, 1)), jnp.full(count, mirrored))

        def of_one(weights, statistics):
            with jax.default_matmul_precision("float32"):
                logits, _ = model.stateless_call(weights, statistics, views.to_input(shown), training=False)
            return logits

        return jax.vmap(of_one)(*some)

    return jax.jit(answer)


def _losses(logits, labels):
    """(B,) float32 cross-entropies."""
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)


def like(values, array):
    """(K,) values with as many axes as an array of K models."""
    return values.reshape(-1, *[1] * (array.ndim - 1))
