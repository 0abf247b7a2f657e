"""The private engine: the reference engine with DP-SGD (Abadi et al. 2016) in place of SGD.

Each example's gradient is clipped, and the sum gets Gaussian noise. The noised sum, divided by the EXPECTED batch size,
replaces the batch's mean gradient. What follows it (weight decay, momentum, the schedule) only sees the noised sum, and
costs no privacy.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from mia_tf.config import TrainingConfig
from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.records import Dataset
from mia_tf.training import schedules, views
from mia_tf.training.clipping import ClippedGradients
from mia_tf.training.single import SingleEngine, augmentation_draws, full_float32
from mia_tf.training.tf_privacy import GaussianSumQuery

_KERNELS_KEPT = 1000
"""Steps between clearings: TensorFlow keeps a kernel, 30 kB, for every draw of noise; dropping them drops those of the
compiled functions too, and these take a second to come back."""


class PrivateEngine(SingleEngine):
    """Trains models one at a time under DP-SGD; every model has the same guarantee.

    Noise follows from a model's seed: anyone who knows the seed can subtract it. That is right for a measurement
    that others can repeat, and wrong for weights that are published.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig, guarantee: PrivacyGuarantee):
        super().__init__(dataset, config)
        self.guarantee = guarantee
        self._clipped = ClippedGradients(self._model, guarantee.l2_norm_clip)
        self._query = GaussianSumQuery(guarantee.l2_norm_clip, guarantee.l2_norm_clip * guarantee.noise_multiplier)
        self._query_state = self._query.initial_global_state()
        self._sizes = [math.prod(weight.shape) for weight in self._weights]

    # ---- what differs from the reference engine

    def _reset(self, seed: int) -> None:
        super()._reset(seed)
        # TF-Privacy draws its noise from TensorFlow's global generator.
        tf.random.set_seed(int(np.random.default_rng([seed, schedules.NOISE]).integers(2**31)))

    @full_float32()  # or an example could count for more than the clip
    def _epoch(self, order, augmentation_seed, first_step, total_steps):
        total, completed = 0.0, 0
        for rows in order:
            step = first_step + completed
            loss, clipped = self._clipped_sum(rows, np.array([augmentation_seed, step], np.int32))
            if not np.isfinite(loss):
                break
            noised, _, _ = self._query.get_noised_result(clipped, self._query_state)
            self._private_update(noised, np.int32(step), total_steps)
            total += float(loss) / max(len(rows), 1)
            completed += 1
            if (step + 1) % _KERNELS_KEPT == 0:
                keras.backend.clear_session()  # of the kernels; the draws do not depend on it
        return total, completed

    # ---- one step

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32)])
    def _clipped_sum(self, rows: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The sum of the losses, and the (D,) sum of the clipped gradients of all weights, over a batch."""
        images = views.augment(tf.gather(self._images, rows), self.config.augment, augmentation_draws(rows, seed))
        inputs = tf.ensure_shape(views.to_input(images), [None, *self._shape])
        return self._clipped.of_batch(inputs, tf.gather(self._labels, rows), self.config.microbatch)

    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32)])
    def _private_update(self, noised: tf.Tensor, step: tf.Tensor, total_steps: tf.Tensor) -> None:
        parts = tf.split(noised / self.config.batch, self._sizes)
        gradients = [tf.reshape(part, w.shape) for part, w in zip(parts, self._weights, strict=True)]
        self._update(self._with_decay(gradients), self._learning_rate(step, total_steps))
