"""Sums of per-example gradients, each clipped, from one backward pass."""

import functools
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from mia_tf.training.norm_rules import check_supported, make_registry
from mia_tf.training.private_checks import refuse
from mia_tf.training.tf_privacy import compute_clip_weights

_ROUND = 8  # microbatches are multiples of it: oneDNN and cuDNN keep a plan for each size that occurs


class ClippedGradients:
    """Clipped gradients of a Keras functional model.

    Args:
        model: the model; it returns logits.
        l2_norm_clip: largest L2 norm of one example's gradient.
        losses: function of labels (B,) and the model's outputs that returns the loss of each example, (B,).

    Raises:
        InputError: a layer of the model is not supported; the message names it.
    """

    def __init__(
        self,
        model: keras.Model,
        l2_norm_clip: float,
        losses: Callable = tf.nn.sparse_softmax_cross_entropy_with_logits,
    ):
        check_supported(model)
        self._clip, self._losses, self._registry = l2_norm_clip, losses, make_registry()
        self._taps: list[_Tap] = []
        self._model = keras.models.clone_model(
            model, clone_function=lambda layer: layer, call_function=self._call_tapped
        )
        self._num_weights = sum(math.prod(variable.shape) for variable in model.trainable_variables)
        self._order = {variable.path: k for k, variable in enumerate(model.trainable_variables)}

    def _call_tapped(self, layer, *args, **kwargs):
        if not getattr(layer, "trainable_variables", ()):  # an operation has none
            return layer(*args, **kwargs)
        if any(tap.layer is layer for tap in self._taps):
            refuse(layer, "it is used more than once")
        self._taps.append(_Tap(layer, self._registry.lookup(layer)))
        return self._taps[-1](*args, **kwargs)

    def of_batch(self, inputs, labels: tf.Tensor, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The sum over a batch of any size, in microbatches; to be called while a tf.function is traced.

        The batch is cut into microbatches of one size, filled up with its last example, which then counts for
        nothing. An example of zeros could be one that the model is undefined for: NaN times 0 is NaN.

        Args:
            inputs: (B, ...), or a dict or tuple of such tensors.
            labels: (B,) int.
            limit: the largest microbatch.

        Returns:
            The sum of the losses, a scalar; and the sum of the clipped gradients, (D,).
        """
        count = tf.shape(labels)[0]
        chunks = -(-count // limit)
        size = tf.minimum(limit, -(-count // (tf.maximum(chunks, 1) * _ROUND)) * _ROUND)
        places = tf.range(chunks * size)
        mask = tf.cast(places < count, tf.float32)
        places = tf.minimum(places, count - 1)
        inputs, labels = keras.tree.map_structure(lambda array: tf.gather(array, places), (inputs, labels))
        loss, clipped = tf.constant(0.0), tf.zeros([self._num_weights])
        for start in tf.range(0, chunks * size, tf.maximum(size, 1)):
            part = slice(start, start + size)
            some = keras.tree.map_structure(functools.partial(_part, part=part), inputs)
            chunk_loss, gradients, _ = self.sum(some, labels[part], mask[part])
            loss += chunk_loss
            clipped += gradients
        return loss, clipped

    @tf.autograph.experimental.do_not_convert  # nothing here depends on values
    def sum(self, inputs: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The clipped sum; to be called while a tf.function is traced.

        Args:
            inputs: (B, ...), or a dict or tuple of such tensors.
            labels: (B,) int.
            mask: (B,) float32, 0 for an example that fills up the batch and counts for nothing, else 1.

        Returns:
            The sum of the losses, a scalar; the sum of the clipped gradients, (D,) over all weights in the
            model's order; and the (B,) norms before clipping.
        """
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            for tap in self._taps:
                tap.tape = tape
            logits = self._model(inputs, training=True)
            losses = self._losses(labels, logits)
            loss = tf.reduce_sum(losses * mask)
        below = tape.gradient(loss, [tap.z for tap in self._taps])
        squares = tf.add_n([tap.sqr_norms(g) for tap, g in zip(self._taps, below, strict=True)])
        norms = tf.sqrt(tf.maximum(squares, 0.0))  # a Gram matrix's sum may round below zero
        weights = mask * compute_clip_weights(tf.constant(self._clip, norms.dtype), norms)
        sums = [None] * len(self._order)
        for tap, gradient in zip(self._taps, below, strict=True):
            parts = tap.weighted_sum(weights, gradient)
            for variable, part in zip(tap.layer.trainable_variables, parts, strict=True):
                sums[self._order[variable.path]] = tf.reshape(part, [-1])
        for tap in self._taps:
            tap.forget()
        return loss, tf.concat(sums, axis=0), norms


def _part(array: tf.Tensor, part: slice) -> tf.Tensor:
    """Some examples of (B, ...), whose number is not known when a tf.function is traced."""
    return tf.ensure_shape(array[part], [None, *array.shape[1:]])


class _Tap(keras.layers.Layer):
    """Stands in a model for one of its layers, and keeps what that layer's rule returns."""

    def __init__(self, layer: keras.layers.Layer, rule: Callable):
        super().__init__(name=f"tap_{layer.name}")
        self.layer, self._rule = layer, rule
        self.built = True

    def compute_output_spec(self, inputs):
        return self.layer.compute_output_spec(inputs)

    def call(self, inputs):
        with tf.GradientTape() as self._layer_tape:
            self.z, outputs, self.sqr_norms = self._rule(self.layer, (inputs,), {}, self.tape, None)
        return outputs

    def weighted_sum(self, weights: tf.Tensor, gradient: tf.Tensor) -> list[tf.Tensor]:
        """The layer's clipped gradients: of what its rule computed, or by the layer's own backward pass."""
        if hasattr(self.sqr_norms, "weighted_sum"):
            return self.sqr_norms.weighted_sum(weights)
        weights = tf.reshape(weights, [-1] + [1] * (gradient.shape.rank - 1))
        variables = [variable.value for variable in self.layer.trainable_variables]
        return self._layer_tape.gradient(self.z, variables, output_gradients=weights * gradient)

    def forget(self) -> None:
        """Lets go of the tensors of the step that was traced."""
        del self.tape, self.z, self.sqr_norms, self._layer_tape
