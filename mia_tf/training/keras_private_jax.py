"""The steps of a user's Keras model under DP-SGD (Abadi et al. 2016), on JAX.

The privacy is that of `mia_tf.training.keras_private`: each example's gradient is clipped, and the noised sum over the
EXPECTED batch size is the gradient that the model's own optimizer takes. Here each gradient is computed on its own, so
that any layer will do which keeps nothing of the examples that it sees.
"""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax

from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.training import views
from mia_tf.training.ensemble_step import make_keys
from mia_tf.training.keras_outputs import Outputs
from mia_tf.training.keras_steps_jax import JaxSteps, fill_up
from mia_tf.training.private_checks import class_numbers, seed_states
from mia_tf.training.private_jax import clipped_sum, noised

_SPARE_DEVIATIONS = 2
"""Room in a microbatch for Poisson-sampled batches above the expected size; a larger one takes another microbatch."""
_ROUND = 8  # microbatches are multiples of it


class JaxPrivateSteps(JaxSteps):
    """Compiled once for one network: the clipped sum of a microbatch, the noise, and the optimizer's update.

    The arguments are those of `mia_tf.training.keras_private.PrivateSteps`.
    """

    def __init__(
        self,
        model: keras.Model,
        x,
        targets: np.ndarray,
        augment: str,
        outputs: Outputs,
        promise: PrivacyGuarantee,
        microbatch: int,
    ):
        super().__init__(model, x, class_numbers(targets).astype(np.int32), augment, outputs)
        self._promise = promise
        largest = promise.batch + _SPARE_DEVIATIONS * promise.batch**0.5
        self.size = min(microbatch, -(-int(largest) // _ROUND) * _ROUND)
        seeds = seed_states(model)
        self._is_seed = [id(variable) in seeds for variable in model.non_trainable_variables]

    def reset(self, fresh: keras.Model, seed: int) -> None:
        """Takes the state of a fresh model, and its noise."""
        super().reset(fresh, seed)
        self._noise, self._taken = make_keys([seed]).noise[0], 0

    def epoch(self, batches: list[np.ndarray], draws: np.random.Generator) -> float:
        """Takes one step per batch of rows, of any size; returns the mean loss."""
        losses = jnp.zeros(())
        for rows in batches:
            drawn, sums = self.draw(draws, len(rows)), self.nothing(self.state[0])
            for start in range(0, len(rows), self.size):
                part = self.microbatch(rows, drawn, start)
                sums = self.add(sums, *self.state[:2], self.data, *part)
            *self.state, losses = self.apply(self.state, losses, sums, self._noise, self._taken, len(rows))
            self._taken += 1
        return float(losses) / max(len(batches), 1)

    def microbatch(self, rows: np.ndarray, drawn: np.ndarray | None, start: int) -> tuple:
        """The rows of one microbatch and their draws, filled up; the number of its first row, and of all rows."""
        some = slice(start, start + self.size)
        rows_of_part, drawn, _ = fill_up(rows[some], None if drawn is None else drawn[:, some], self.size)
        return rows_of_part, drawn, np.int32(start), np.int32(len(rows))

    @staticmethod
    def nothing(weights: list) -> tuple:
        return jnp.zeros(()), [jnp.zeros_like(weight) for weight in weights]

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def add(self, sums, weights, others, data, rows, draws, start, count):
        """Adds the losses of a microbatch, and its clipped gradients, to those of the microbatches before."""
        x, labels = self._take(data, rows)
        x = views.augment(x, self._augment, draws)
        places = start + jnp.arange(self.size)

        def loss_of(weights, example):
            x, label, place = example
            x = keras.tree.map_structure(lambda array: array[None], x)
            with self._outputs.exact():
                logits, _ = self.model.stateless_call(weights, self._seeded(others, place), x, training=True)
            return _loss(logits[0].astype(jnp.float32), label)

        counts = (places < count).astype(jnp.float32)
        clip = self._promise.l2_norm_clip
        loss, clipped = clipped_sum(loss_of, weights, (x, labels, places), counts, clip)
        return sums[0] + loss, [total + part for total, part in zip(sums[1], clipped, strict=True)]

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def apply(self, state, losses, sums, noise, taken, count):
        """Takes the optimizer's step; adds the mean loss of the batch to the losses."""
        weights, others, optimizer = state
        loss, total = sums
        deviation = self._promise.l2_norm_clip * self._promise.noise_multiplier
        total = noised(total, deviation, jax.random.fold_in(noise, taken))
        gradients = [(t / self._promise.batch).astype(w.dtype) for t, w in zip(total, weights, strict=True)]
        weights, optimizer = self.model.optimizer.stateless_apply(optimizer, gradients, weights)
        following = jnp.array([0, 1], jnp.uint32)  # as Keras' generators go on
        others = [v + following if is_seed else v for v, is_seed in zip(others, self._is_seed, strict=True)]
        return weights, others, optimizer, losses + loss / jnp.maximum(count, 1)

    def _seeded(self, others: list, place: jax.Array) -> list:
        """The state beside the weights for the example at a place of the batch: dropout's seed is its own."""
        return [_folded(v, place) if is_seed else v for v, is_seed in zip(others, self._is_seed, strict=True)]


def _folded(state: jax.Array, place: jax.Array) -> jax.Array:
    key = jax.random.wrap_key_data(state, impl="threefry2x32")
    return jax.random.key_data(jax.random.fold_in(key, place))


def _loss(logits: jax.Array, label: jax.Array) -> jax.Array:
    """The cross-entropy of one example, whose logits are (C,), or (1,) for two classes."""
    if len(logits) > 1:
        return optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return optax.sigmoid_binary_cross_entropy(logits[0], label.astype(jnp.float32))
