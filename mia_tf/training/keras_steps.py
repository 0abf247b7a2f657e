"""The steps and answers of a user's Keras model on TensorFlow; the data lie in memory."""

import keras
import numpy as np
import tensorflow as tf

from mia_tf.training import views
from mia_tf.training.keras_outputs import Outputs
from mia_tf.training.single import full_float32

_INFERENCE_BATCH = 500


class TensorFlowSteps:
    """Compiled once for one network: all full batches of an epoch in one call, and the smaller batch at its end.

    Each step is the model's own `train_step`, as in `fit`.

    Args:
        model: a built model of the network; to be trained, its loss and metrics are built too.
        x: an array, or a dict or tuple of arrays, each (N, ...).
        targets: (N, ...).
        augment: one of `mia_tf.config.AUGMENTATIONS`.
        outputs: what the model returns.
    """

    def __init__(self, model: keras.Model, x, targets: np.ndarray, augment: str, outputs: Outputs):
        self._model, self._augment, self._outputs = model, augment, outputs
        self._count = len(targets)
        self._x = keras.tree.map_structure(tf.constant, x)
        self._targets = tf.constant(targets)

    def reset(self, fresh: keras.Model, seed: int) -> None:
        """Resets the compiled model to the state of a fresh one: weights, statistics, seeds and the optimizer's."""
        for variable, value in zip(_state(self._model), _state(fresh), strict=True):
            variable.assign(value)

    def epoch(self, batches: list[np.ndarray], draws: np.random.Generator) -> float:
        """Takes one step per batch of rows; returns the mean loss, NaN if a `train_step` of the user's hides it."""
        self._model.reset_metrics()
        size = len(batches[0])
        full = [batch for batch in batches if len(batch) == size]
        for order in (full, *([batch] for batch in batches[len(full) :])):
            self._steps(np.stack(order), draws.random((len(order), 3, len(order[0])), np.float32))
        return float(self._model.get_metrics_result().get("loss", 0.0))

    def finish(self) -> None:
        """Ends the training as `fit` does: an optimizer with `use_ema` sets the weights to their moving average."""
        self._model.optimizer.finalize_variable_values(self._model.trainable_variables)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, 3, None])])
    def _steps(self, order: tf.Tensor, draws: tf.Tensor) -> None:
        """Takes one step per row of `order`, (S, B)."""
        for step in tf.range(tf.shape(order)[0]):
            self._step(order[step], draws[step])

    @tf.autograph.experimental.do_not_convert  # as Keras calls it
    def _step(self, rows: tf.Tensor, draws: tf.Tensor) -> None:
        x, targets = self._take(rows)
        self._model.train_step((views.augment(x, self._augment, draws), targets))

    def _take(self, rows: tf.Tensor):
        """Examples and targets of some rows."""
        return keras.tree.map_structure(lambda array: tf.gather(array, rows), (self._x, self._targets))

    @full_float32()  # attacks see small differences
    def answers(self, queries: list[tuple[int, int, bool]]) -> np.ndarray:
        """(N, Q, C) float32 answers to Q views of every example, in inference mode."""
        answers = np.empty((self._count, len(queries), self._outputs.units), np.float32)
        for query, (down, right, mirrored) in enumerate(queries):
            for start in range(0, self._count, _INFERENCE_BATCH):
                rows = np.arange(start, min(start + _INFERENCE_BATCH, self._count), dtype=np.int32)
                answers[rows, query] = self._answer(rows, np.array([down, right], np.int32), np.bool_(mirrored))
        return answers

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.bool)]
    )
    @tf.autograph.experimental.do_not_convert
    def _answer(self, rows: tf.Tensor, shift: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
        x, _ = self._take(rows)
        if views.are_pictures(x):
            count = tf.shape(rows)[0]
            x = views.gather_views(x, tf.tile(shift[None], [count, 1]), tf.fill([count], mirrored))
        with self._outputs.exact():
            return tf.cast(self._model.predict_step((x,)), tf.float32)


def _state(model: keras.Model) -> list:
    """All variables that training changes, in an order that all models of a network share."""
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]
