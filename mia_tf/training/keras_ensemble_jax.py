"""K models of a user's Keras network in training at once on JAX: each step is that of one model, mapped over K."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mia_tf.training.ensemble_step import like, make_keys
from mia_tf.training.keras_private_jax import JaxPrivateSteps
from mia_tf.training.keras_steps_jax import JaxSteps, fill_up


class KerasEnsembleSteps:
    """The steps of K models, whose states are stacked: weights, other variables, and the optimizers'.

    The steps of an epoch are one compiled call. Where the smaller batch at the end of an epoch cannot be filled up
    (`JaxSteps.may_fill_up`), it is a step of its model alone.

    Args:
        one: the steps of one model, which has a state.
        size: number of examples of a full batch.
        most: number of batches of the longest epoch.
    """

    def __init__(self, one: JaxSteps, size: int, most: int):
        self._one, self._size, self._most = one, size, most

    def reset(self, states: list, seeds: list[int]) -> None:
        """Takes the states of K fresh models."""
        self._state = jax.device_put(jax.tree.map(lambda *arrays: np.stack(arrays), *states))

    def state_of(self, k: int) -> tuple:
        """Returns the state of one model."""
        return jax.tree.map(lambda array: array[k], self._state)

    def epoch(self, batches: list[list[np.ndarray]], draws: list[np.random.Generator]) -> list[float]:
        """Takes each model's steps, one per batch of its rows; returns each model's mean loss."""
        one, size, models = self._one, self._size, range(len(batches))
        fills = one.may_fill_up(batches[0][0])
        whole = [[rows for rows in some if fills or len(rows) == size] for some in batches]
        order = np.zeros((self._most, len(models), size), np.int32)
        counts = np.full((self._most, len(models)), -1, np.int32)
        drawn = None if one.draw(draws[0], 0) is None else np.zeros((*counts.shape, 3, size), np.float32)
        for k in models:
            for step, rows in enumerate(whole[k]):
                order[step, k], filled, counts[step, k] = fill_up(rows, one.draw(draws[k], len(rows)), size)
                if drawn is not None:
                    drawn[step, k] = filled
        metrics = jax.tree.map(lambda array: jnp.stack([array] * len(models)), one.fresh_metrics())
        state = self._steps((*self._state, metrics), one.data, order, drawn, counts, fills)
        for k in models:
            for rows in batches[k][len(whole[k]) :]:
                state = self._step_of(state, np.int32(k), one.data, rows, one.draw(draws[k], len(rows)))
        *self._state, metrics = state
        host = [np.asarray(value) for value in metrics]
        return [one.mean_loss([value[k] for value in host]) for k in models]

    @functools.partial(jax.jit, static_argnums=(0, 6), donate_argnums=1)
    def _steps(self, state, data, order, draws, counts, fills):
        """Takes the steps of `order`, (S, K, B), of which `counts` (S, K) rows count; -1 where a model takes none."""
        of_all = jax.vmap(self._one.step, in_axes=(0, None, 0, 0, 0))

        def step(s, state):
            changed = of_all(state, data, order[s], None if draws is None else draws[s], counts[s] if fills else None)
            return jax.tree.map(lambda new, old: jnp.where(like(counts[s] >= 0, new), new, old), changed, state)

        return lax.fori_loop(0, (counts >= 0).any(axis=1).sum(), step, state)

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def _step_of(self, state, k, data, rows, draws):
        """Takes one step with model k alone."""
        changed = self._one.step(jax.tree.map(lambda array: array[k], state), data, rows, draws, None)
        return jax.tree.map(lambda array, new: array.at[k].set(new), state, changed)

    def lowered(self, count: int) -> Iterator:
        """Yields what is done with `count` models, ready to be compiled for its need of memory."""
        shape = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.int32)
        order, counts = (self._most, count, self._size), (self._most, count)
        draws = None
        if self._one.draw(np.random.default_rng(0), 0) is not None:
            draws = jax.ShapeDtypeStruct((*counts, 3, self._size), jnp.float32)
        state = self._shapes(count, (*self._one.state, self._one.fresh_metrics()))
        yield KerasEnsembleSteps._steps.lower(self, state, self._one.data, shape(order), draws, shape(counts), False)

    @staticmethod
    def _shapes(count: int, tree):
        """The shapes and types of `count` models' arrays, given those of one."""
        return jax.tree.map(lambda array: jax.ShapeDtypeStruct((count, *array.shape), array.dtype), tree)


class PrivateKerasEnsembleSteps(KerasEnsembleSteps):
    """The steps of K models under DP-SGD, each as `mia_tf.training.keras_private_jax.JaxPrivateSteps` takes it."""

    _one: JaxPrivateSteps

    def reset(self, states: list, seeds: list[int]) -> None:
        """Takes the states of K fresh models, and their noise."""
        super().reset(states, seeds)
        self._noise, self._taken = make_keys(seeds).noise, 0

    def epoch(self, batches: list[list[np.ndarray]], draws: list[np.random.Generator]) -> list[float]:
        """Takes each model's steps, one per batch of its rows; returns each model's mean loss."""
        one, losses = self._one, jnp.zeros(len(batches))
        for of_models in zip(*batches, strict=True):  # as many steps as the guarantee is of
            drawn = [one.draw(own, len(rows)) for own, rows in zip(draws, of_models, strict=True)]
            sums = jax.vmap(one.nothing)(self._state[0])
            for start in range(0, max(map(len, of_models)), one.size):
                parts = [one.microbatch(rows, own, start) for rows, own in zip(of_models, drawn, strict=True)]
                sums = self._add(sums, *self._state[:2], one.data, *_stacked(parts))
            counts = np.array([len(rows) for rows in of_models], np.int32)
            *self._state, losses = self._apply(self._state, losses, sums, self._noise, self._taken, counts)
            self._taken += 1
        return (np.asarray(losses) / max(len(batches[0]), 1)).tolist()

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def _add(self, sums, weights, others, data, *part):
        return jax.vmap(self._one.add, in_axes=(0, 0, 0, None, 0, 0, 0, 0))(sums, weights, others, data, *part)

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def _apply(self, state, losses, sums, noise, taken, counts):
        return jax.vmap(self._one.apply, in_axes=(0, 0, 0, 0, None, 0))(state, losses, sums, noise, taken, counts)

    def lowered(self, count: int) -> Iterator:
        """Yields what is done with `count` models, ready to be compiled for its need of memory."""
        one = self._one
        part = one.microbatch(np.zeros(1, np.int32), one.draw(np.random.default_rng(0), 1), 0)
        state, parts = self._shapes(count, list(one.state)), _stacked([part] * count)
        sums = self._shapes(count, jax.eval_shape(one.nothing, one.state[0]))
        yield PrivateKerasEnsembleSteps._add.lower(self, sums, *state[:2], one.data, *parts)
        losses, noise = jnp.zeros(count), make_keys(range(count)).noise
        yield PrivateKerasEnsembleSteps._apply.lower(self, state, losses, sums, noise, 0, np.zeros(count, np.int32))


def _stacked(parts: list) -> tuple:
    """What K models' tuples of arrays are together; None stays None."""
    return tuple(None if some[0] is None else np.stack(some) for some in zip(*parts, strict=True))
