"""The steps and answers of a user's Keras model on JAX; the data lie in memory."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np

from mia_tf.training import views
from mia_tf.training.keras_outputs import Outputs

_INFERENCE_BATCH = 500


class JaxSteps:
    """Compiled once for one network and size of batch: the model's own `train_step`, as in `fit`.

    A loop over an epoch's steps in one compiled call was measured too: on a CPU it takes three times as long as `fit`,
    because XLA computes convolutions within loops on one thread and without its fast kernels.

    The arguments and methods are those of `mia_tf.training.keras_steps.TensorFlowSteps`.
    """

    def __init__(self, model: keras.Model, x, targets: np.ndarray, augment: str, outputs: Outputs):
        self._model, self._augment, self._outputs = model, augment, outputs
        self._count = len(targets)
        self._data = keras.tree.map_structure(jnp.asarray, (x, targets))
        self._state = _state(model.trainable_variables, model.non_trainable_variables)

    def reset(self, fresh: keras.Model, seed: int) -> None:
        """Takes the state of a fresh model: weights, statistics, seeds and the optimizer's."""
        self._state = _state(fresh.trainable_variables, fresh.non_trainable_variables, fresh.optimizer.variables)

    def epoch(self, batches: list[np.ndarray], draws: np.random.Generator) -> float:
        """Takes one step per batch of rows; returns the mean loss."""
        self._model.reset_metrics()
        state = (*self._state, *_state(self._model.metrics_variables))
        for rows in batches:
            state = self._step(state, self._data, rows, draws.random((3, len(rows)), np.float32))
        *self._state, metrics = state
        for variable, value in zip(self._model.metrics_variables, metrics, strict=True):
            variable.assign(value)
        return float(self._model.get_metrics_result().get("loss", 0.0))

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def _step(self, state, data, rows, draws):
        x, targets = self._take(data, rows)
        _, state = self._model.train_step(state, (views.augment(x, self._augment, draws), targets))
        return state

    @staticmethod
    def _take(data, rows):
        """Examples and targets of some rows."""
        return keras.tree.map_structure(lambda array: jnp.take(array, rows, axis=0), data)

    def answers(self, asked: list[tuple[int, int, bool]]) -> np.ndarray:
        """(N, Q, C) float32 answers to Q views of every example, in inference mode."""
        answers = np.empty((self._count, len(asked), self._outputs.units), np.float32)
        size = min(_INFERENCE_BATCH, self._count)
        for query, (down, right, mirrored) in enumerate(asked):
            for start in range(0, self._count, size):
                # The last batch begins earlier: of another size, it would be compiled for itself.
                rows = np.arange(size, dtype=np.int32) + min(start, self._count - size)
                view = np.array([down, right], np.int32), np.bool_(mirrored)
                answers[rows, query] = self._answer(*self._state[:2], self._data, rows, *view)
        return answers

    @functools.partial(jax.jit, static_argnums=0)
    def _answer(self, weights, statistics, data, rows, shift, mirrored):
        x, _ = self._take(data, rows)
        if self._augment != "none":
            x = views.gather_views(x, jnp.tile(shift[None], (len(rows), 1)), jnp.full(len(rows), mirrored))
        # In whole float32, where cards would multiply fewer bits by default: attacks see small differences.
        with self._outputs.exact(), jax.default_matmul_precision("float32"):
            answers, _ = self._model.predict_step((weights, statistics), (x,))
            return answers.astype(jnp.float32)


def _state(*variables: list) -> tuple[list, ...]:
    """Copies of the values of several lists of variables; a step gives them away."""
    return tuple([jnp.array(variable.value) for variable in some] for some in variables)
