"""The steps of a user's Keras model under DP-SGD (Abadi et al. 2016), on TensorFlow.

As in `mia_tf.training.private`, each example's gradient is clipped, and the sum of them gets Gaussian noise. The noised
sum over the EXPECTED batch size is the gradient that the model's own optimizer takes, which costs no further privacy.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.training import schedules, views
from mia_tf.training.clipping import ClippedGradients
from mia_tf.training.keras_outputs import Outputs
from mia_tf.training.keras_steps import TensorFlowSteps
from mia_tf.training.private_checks import class_numbers, functional
from mia_tf.training.single import full_float32
from mia_tf.training.tf_privacy import GaussianSumQuery

_KERNELS_KEPT = 1000
"""As in `mia_tf.training.private`."""


class PrivateSteps(TensorFlowSteps):
    """Compiled once for one network: the clipped sum of a batch, the noise, and the optimizer's update.

    Args:
        model, x, targets, augment, outputs: as in TensorFlowSteps.
        promise: the guarantee of the training.
        microbatch: number of examples whose gradients are in memory at the same time.
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
        super().__init__(model, x, targets, augment, outputs)
        self._microbatch, self._batch = microbatch, promise.batch
        self._labels = tf.constant(class_numbers(targets))
        with outputs.exact():
            self._clipped = ClippedGradients(functional(model), promise.l2_norm_clip, losses_of(outputs))
        self._query = GaussianSumQuery(promise.l2_norm_clip, promise.l2_norm_clip * promise.noise_multiplier)
        self._query_state = self._query.initial_global_state()
        self._shapes = [variable.shape for variable in model.trainable_variables]

    def reset(self, fresh: keras.Model, seed: int) -> None:
        super().reset(fresh, seed)
        # TF-Privacy draws its noise from TensorFlow's global generator.
        tf.random.set_seed(int(np.random.default_rng([seed, schedules.NOISE]).integers(2**31)))
        self._taken = 0

    @full_float32()  # or an example could count for more than the clip
    def epoch(self, batches: list[np.ndarray], draws: np.random.Generator) -> float:
        """Takes one step per batch of rows, of any size; returns the mean loss."""
        total = 0.0
        for batch in batches:
            loss, clipped = self._clipped_sum(batch, draws.random((3, len(batch)), np.float32))
            noised, _, _ = self._query.get_noised_result(clipped, self._query_state)
            self._update(noised)
            total += float(loss) / max(len(batch), 1)
            self._taken += 1
            if self._taken % _KERNELS_KEPT == 0:
                keras.backend.clear_session()
        return total / max(len(batches), 1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([3, None])])
    def _clipped_sum(self, rows: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, _ = self._take(rows)
        x = views.augment(x, self._augment, draws)
        with self._outputs.exact():
            return self._clipped.of_batch(x, tf.gather(self._labels, rows), self._microbatch)

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def _update(self, noised: tf.Tensor) -> None:
        parts = tf.split(noised / self._batch, [math.prod(shape) for shape in self._shapes])
        gradients = [tf.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]
        self._model.optimizer.apply_gradients(zip(gradients, self._model.trainable_variables, strict=True))


def losses_of(outputs: Outputs):
    """Returns the function from labels (B,) and logits (B, units) to each example's cross-entropy, (B,)."""
    if outputs.units > 1:
        return tf.nn.sparse_softmax_cross_entropy_with_logits
    return lambda labels, logits: tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, tf.float32), logits[:, 0])
