"""The reference engine: one Keras model after another on TensorFlow.

The data set lies in memory as uint8, and an epoch is one call of a compiled function. The function
is compiled once; for the next model the weights, momenta and statistics are set anew.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from mia_tf import models
from mia_tf.config import TrainingConfig
from mia_tf.records import Dataset, ModelFailure, ModelRecord
from mia_tf.training import schedules, views
from mia_tf.training.course import Course

_INFERENCE_BATCH = 500


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Keeps GPUs from multiplying float32 in the fewer bits of TF32, which TensorFlow lets them."""
    settings = tf.config.experimental
    before = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(before)


class SingleEngine:
    """Trains models one at a time; every model sees the same data set and configuration."""

    ensemble_size = 1  # models that train at the same time
    guarantee = None

    def __init__(self, dataset: Dataset, config: TrainingConfig):
        self.config = config
        self.dataset = dataset
        self._shape = dataset.images.shape[1:]
        self._images = tf.constant(np.ascontiguousarray(dataset.images))
        self._labels = tf.constant(dataset.labels)
        self._test_images = tf.constant(np.ascontiguousarray(dataset.test_images))
        self._model = self._build(config.precision)
        # Attacks see small differences: models are asked in full float32.
        self._asked = self._model if config.precision == "float32" else self._build("float32")
        self._weights = [v.value for v in self._model.trainable_variables]
        self._decayed = [models.is_decayed(v) for v in self._model.trainable_variables]
        self._momenta = [tf.Variable(tf.zeros_like(w)) for w in self._weights]
        self._averages = [tf.Variable(tf.zeros_like(w)) for w in self._weights] if config.ema else []

    def _build(self, precision: str) -> keras.Model:
        config, num_classes = self.config, self.dataset.num_classes
        return models.build(config.arch, self._shape, num_classes, seed=0, norm=config.norm, precision=precision)

    # ---- training

    def train(
        self, members: np.ndarray, seeds: np.ndarray, on_epoch: Callable[[], None] = lambda: None
    ) -> Iterator[ModelRecord | ModelFailure]:
        """Trains one model per row of `members`.

        Args:
            members: (K, N) bool, the training set of each model.
            seeds: (K,) int, each model's seed for its initial weights, order and augmentation.
            on_epoch: called after every epoch of every model.

        Yields:
            For k = 0..K-1 in turn a ModelRecord with index k, or a ModelFailure if the loss was not finite.
        """
        for index, (keep, seed) in enumerate(zip(members, seeds, strict=True)):
            yield self._train_one(Course(index, keep, seed, self.dataset, self.config, self.guarantee), on_epoch)

    def _train_one(self, course: Course, on_epoch: Callable[[], None]) -> ModelRecord | ModelFailure:
        started = time.perf_counter()
        self._reset(course.seed)
        rng, total_steps = np.random.default_rng([course.seed, schedules.AUGMENTATION]), np.int32(course.total_steps)
        augmentation_seed = rng.integers(2**31, dtype=np.int32)
        model = self._model.get_weights, lambda: self._test_predictions(course.steps)
        for order in course.orders:
            loss, completed = self._epoch(order, augmentation_seed, np.int32(course.steps), total_steps)
            course.end_epoch(float(loss), int(completed), len(order), *model)
            on_epoch()
            if not course.running:
                break
        seconds = time.perf_counter() - started
        return course.failure or course.finish(self.query(self.config.queries), seconds, *model, backend="tensorflow")

    def _reset(self, seed: int) -> None:
        """Resets the compiled model to the weights of a fresh one."""
        self._model.set_weights(models.initial_weights(self._model, seed))
        for momentum in self._momenta:
            momentum.assign(tf.zeros_like(momentum))
        for average in self._averages:
            average.assign(tf.zeros_like(average))

    @tf.function(reduce_retracing=True)
    def _learning_rate(self, step: tf.Tensor, total_steps: tf.Tensor) -> tf.Tensor:
        progress = tf.cast(step, tf.float32) / tf.cast(total_steps, tf.float32)
        return schedules.lira_learning_rate(self.config.lr, self.config.warmup, progress)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
        ]
    )
    def _epoch(self, order, augmentation_seed, first_step, total_steps):
        """Takes a step for every row of `order`; stops before a step whose loss is not finite.

        Returns the sum of the losses and the number of steps completed.
        """
        steps = tf.shape(order)[0]
        total, completed, finite = tf.constant(0.0), tf.constant(0), tf.constant(True)
        while finite and completed < steps:
            step = first_step + completed
            loss, gradients = self._gradients(order[completed], tf.stack([augmentation_seed, step]))
            finite = tf.math.is_finite(loss)
            if finite:
                self._update(gradients, self._learning_rate(step, total_steps))
                total += loss
                completed += 1
        return total, completed

    def _gradients(self, rows, seed):
        images = views.augment(tf.gather(self._images, rows), self.config.augment, augmentation_draws(rows, seed))
        labels = tf.gather(self._labels, rows)
        with tf.GradientTape() as tape:
            logits = self._model(views.to_input(images), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, self._weights)
        gradients = self._with_decay(gradients)
        if self.config.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.config.clip_norm)
        return loss, gradients

    def _with_decay(self, gradients):
        decay = self.config.weight_decay
        return [g + decay * w if d else g for g, w, d in zip(gradients, self._weights, self._decayed, strict=True)]

    def _update(self, gradients, rate):
        """SGD with momentum."""
        for weight, momentum, gradient in zip(self._weights, self._momenta, gradients, strict=True):
            momentum.assign(schedules.MOMENTUM * momentum + gradient)
            weight.assign_sub(rate * momentum)
        for average, weight in zip(self._averages, self._weights, strict=bool(self._averages)):
            # Begun at zero and divided by 1 - ema^t when used: LiRA's debiased average.
            average.assign(self.config.ema * average + (1 - self.config.ema) * weight)

    def images_per_second(self, seconds: float, compiled: Callable[[], object] = lambda: None) -> float:
        """Training speed over at least `seconds`, after one call that compiles and `compiled`; spoils the weights."""
        order = np.random.default_rng(0).integers(len(self.dataset.images), size=(4, self.config.batch), dtype=np.int32)

        def train(steps: int) -> int:
            # Always the first steps, whose rate is next to nothing: the loss must stay finite.
            _, completed = self._epoch(order[:steps], np.int32(0), np.int32(0), np.int32(10**6))
            return int(completed)

        train(1)
        compiled()
        started, steps = time.perf_counter(), train(1)
        while (passed := time.perf_counter() - started) < seconds:
            left = (seconds - passed) * steps / passed  # few where a step takes seconds, as of private training
            steps += train(min(max(1, int(left)), len(order)))
        return steps * self.config.batch / passed

    # ---- asking

    def query(self, queries: int) -> np.ndarray:
        """(N, 1, Q, C) float32 logits of Q views of every example, batch norm in inference mode."""
        answers = [self._answer(self._images, view) for view in views.query_views(queries)]
        return np.stack(answers, axis=1)[:, None]

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of what `set_weights` takes."""
        return [weight.shape for weight in self._model.get_weights()]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Sets the model's weights to those in a ModelRecord's checkpoint."""
        self._model.set_weights(weights)

    @full_float32()  # attacks see small differences
    def _answer(self, images: tf.Tensor, view: tuple[int, int, bool]) -> np.ndarray:
        """(n, C) logits of one view of each image."""
        if self._asked is not self._model:
            self._asked.set_weights(self._model.get_weights())
        shift, mirrored = np.array(view[:2], np.int32), np.bool_(view[2])
        parts = [
            self._forward(images[start : start + _INFERENCE_BATCH], shift, mirrored).numpy()
            for start in range(0, len(images), _INFERENCE_BATCH)
        ]
        return np.concatenate(parts)

    @tf.function(reduce_retracing=True)
    def _forward(self, images, shift, mirrored):
        count = tf.shape(images)[0]
        shown = views.gather_views(images, tf.tile(shift[None], [count, 1]), tf.fill([count], mirrored))
        return self._asked(views.to_input(shown), training=False)

    def _test_predictions(self, step: int) -> np.ndarray:
        """Labels predicted for the test images, (T,), with the averaged weights if there are any."""
        trained = [w.numpy() for w in self._weights]
        for weight, average in zip(self._weights, self._averages, strict=bool(self._averages)):
            weight.assign(average / (1 - self.config.ema**step))
        logits = self._answer(self._test_images, (0, 0, False))
        for weight, value in zip(self._weights, trained, strict=True):
            weight.assign(value)
        return logits.argmax(axis=1)


def augmentation_draws(rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """(3, B) float32 uniform draws for the views of a batch of B rows; `seed`: (2,) int32, the model's and the step."""
    return tf.random.stateless_uniform((3, tf.shape(rows)[0]), seed)
