"""The steps and answers of a user's Keras model on JAX; the data lie in memory."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np

from mia_tf.training import views
from mia_tf.training.keras_outputs import Outputs

_INFERENCE_BATCH = 500
_ALIKE = 1e-3
"""Share of a step's change within which two are alike: rounding is below 1e-5; batch normalization is a tenth off."""


class JaxSteps:
    """Compiled once for one network: the model's own `train_step`, as in `fit`.

    The last batch of an epoch is smaller, and each model's has a size of its own. It is filled up with examples of
    weight zero if a trial shows that they change nothing; otherwise the step is compiled for each size.

    A loop over an epoch's steps in one compiled call was measured too: on a CPU it takes three times as long as `fit`,
    because XLA computes convolutions within loops on one thread and without its fast kernels.

    The arguments and methods are those of `mia_tf.training.keras_steps.TensorFlowSteps`.

    Attributes:
        model: the model, of which only the structure is used.
        data: what the model takes and what its loss compares the outputs with, on the device.
        state: of the model: the values of its weights, of its other variables, and of its optimizer's.
    """

    def __init__(self, model: keras.Model, x, targets: np.ndarray, augment: str, outputs: Outputs):
        self.model, self._augment, self._outputs = model, augment, outputs
        self._count = len(targets)
        self.data = keras.tree.map_structure(jnp.asarray, (x, targets))
        self.state = values(model.trainable_variables, model.non_trainable_variables)
        self._fills = None  # whether batches may be filled up, once that is known

    def reset(self, fresh: keras.Model, seed: int) -> None:
        """Takes the state of a fresh model: weights, statistics, seeds and the optimizer's."""
        self.state = values(fresh.trainable_variables, fresh.non_trainable_variables, fresh.optimizer.variables)

    def epoch(self, batches: list[np.ndarray], draws: np.random.Generator) -> float:
        """Takes one step per batch of rows; returns the mean loss."""
        state, size = (*self.state, self.fresh_metrics()), len(batches[0])
        fills = len(batches[-1]) < size and self.may_fill_up(batches[0])
        for rows in batches:
            drawn, count = self.draw(draws, len(rows)), None
            if fills:
                rows, drawn, count = fill_up(rows, drawn, size)
            state = self.step(state, self.data, rows, drawn, count)
        *self.state, metrics = state
        return self.mean_loss(metrics)

    def finish(self) -> None:
        """Ends the training as `fit` does: an optimizer with `use_ema` sets the weights to their moving average."""
        weights, others, optimizer = self.state
        variables = self.model.trainable_variables
        mapping = zip([*variables, *self.model.optimizer.variables], [*weights, *optimizer], strict=True)
        with keras.StatelessScope(list(mapping)) as scope:
            self.model.optimizer.finalize_variable_values(variables)
        self.state = [scope.get_current_value(v) for v in variables], others, optimizer

    def may_fill_up(self, rows: np.ndarray) -> bool:
        """Returns whether examples of weight zero in a batch change nothing but rounding, from a trial.

        They do where a layer mixes examples, such as batch normalization, or a loss or `train_step` of the user's
        counts them.

        Args:
            rows: (B,) of a batch, whose first half is filled up with the other half in the trial.
        """
        if self._fills is None:
            half = -(-len(rows) // 2)
            draws = self.draw(np.random.default_rng(0), len(rows))
            some = None if draws is None else draws[:, :half]
            try:
                exact, filled = (
                    self.step((*jax.tree.map(jnp.array, self.state), self.fresh_metrics()), self.data, *batch)
                    for batch in ((rows[:half], some, None), (rows, draws, np.int32(half)))
                )
            except Exception:  # a user's train_step may take no weights
                self._fills = False
            else:
                changes = zip(*map(jax.tree.leaves, (self.state, exact[:3], filled[:3])), strict=True)
                self._fills = all(_same_change(*map(np.asarray, change)) for change in changes)
        return self._fills

    def fresh_metrics(self) -> list:
        """Returns the values of the model's metrics at the beginning of an epoch."""
        self.model.reset_metrics()
        (metrics,) = values(self.model.metrics_variables)
        return metrics

    def draw(self, draws: np.random.Generator, count: int) -> np.ndarray | None:
        """Returns (3, count) float32 for the augmentation of `count` examples; None if nothing is augmented."""
        return None if self._augment == "none" else draws.random((3, count), np.float32)

    def mean_loss(self, metrics: list) -> float:
        """Returns the mean loss of an epoch, from the values of the model's metrics."""
        for variable, value in zip(self.model.metrics_variables, metrics, strict=True):
            variable.assign(value)
        return float(self.model.get_metrics_result().get("loss", 0.0))

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def step(self, state, data, rows, draws, count):
        """Takes one step of one model: its weights, its other state, its optimizer's and its metrics'.

        Args:
            rows: (B,); if `count` is given, only the first `count` are examples, and the others fill up the batch.
        """
        x, targets = self._take(data, rows)
        batch = views.augment(x, self._augment, draws), targets
        if count is not None:
            # Losses are averaged over all B.
            weights = jnp.where(jnp.arange(len(rows)) < count, len(rows) / jnp.maximum(count, 1), 0.0)
            batch = *batch, weights.astype(jnp.float32)
        _, state = self.model.train_step(state, batch)
        return tuple(state)

    @staticmethod
    def _take(data, rows):
        """Examples and targets of some rows."""
        return keras.tree.map_structure(lambda array: jnp.take(array, rows, axis=0), data)

    def answers(self, queries: list[tuple[int, int, bool]]) -> np.ndarray:
        """(N, Q, C) float32 answers to Q views of every example, in inference mode."""
        answers = np.empty((self._count, len(queries), self._outputs.units), np.float32)
        size = min(_INFERENCE_BATCH, self._count)
        for query, (down, right, mirrored) in enumerate(queries):
            for start in range(0, self._count, size):
                # The last batch begins earlier: of another size, it would be compiled for itself.
                rows = np.arange(size, dtype=np.int32) + min(start, self._count - size)
                view = np.array([down, right], np.int32), np.bool_(mirrored)
                answers[rows, query] = self._answer(*self.state[:2], self.data, rows, *view)
        return answers

    @functools.partial(jax.jit, static_argnums=0)
    def _answer(self, weights, statistics, data, rows, shift, mirrored):
        x, _ = self._take(data, rows)
        if views.are_pictures(x):
            x = views.gather_views(x, jnp.tile(shift[None], (len(rows), 1)), jnp.full(len(rows), mirrored))
        # In full float32, because attacks see small differences; by default, cards would multiply fewer bits.
        with self._outputs.exact(), jax.default_matmul_precision("float32"):
            answers, _ = self.model.predict_step((weights, statistics), (x,))
            return answers.astype(jnp.float32)


def values(*variables: list) -> tuple[list, ...]:
    """Copies of the values of several lists of variables; a step gives them away."""
    return tuple([jnp.array(variable.value) for variable in some] for some in variables)


def fill_up(rows: np.ndarray, draws: np.ndarray | None, size: int) -> tuple:
    """Returns rows and draws of `size` examples, the last one again and again, and how many there are without."""
    fill = size - len(rows)
    how = "edge" if len(rows) else "constant"
    filled = None if draws is None else np.pad(draws, [(0, 0), (0, fill)], how)
    return np.pad(rows, (0, fill), how), filled, np.int32(len(rows))


def _same_change(before: np.ndarray, one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two steps changed an array alike, up to the rounding of float32."""
    if before.dtype.kind not in "fV":  # bfloat16 is of kind V
        return bool((one == other).all())
    before, one, other = (array.astype(np.float64) for array in (before, one, other))
    return bool(np.linalg.norm(one - other) <= _ALIKE * np.linalg.norm(one - before))
