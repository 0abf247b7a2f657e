"""Sums of per-example gradients, each clipped, from one backward pass."""

from collections.abc import Callable

import keras
import tensorflow as tf

from mia_tf.training.norm_rules import check_supported, make_registry, refuse
from mia_tf.training.tf_privacy import compute_clip_weights


class ClippedGradients:
    """Clipped gradients of a Keras functional model.

    Raises:
        InputError: a layer of the model is not supported; the message names it.
    """

    def __init__(self, model: keras.Model, l2_norm_clip: float):
        check_supported(model)
        self._clip, self._registry = l2_norm_clip, make_registry()
        self._taps: list[_Tap] = []
        self._model = keras.models.clone_model(
            model, clone_function=lambda layer: layer, call_function=self._call_tapped
        )
        self._order = {variable.path: k for k, variable in enumerate(model.trainable_variables)}

    def _call_tapped(self, layer, *args, **kwargs):
        if not getattr(layer, "trainable_variables", ()):  # an operation has none
            return layer(*args, **kwargs)
        if any(tap.layer is layer for tap in self._taps):
            refuse(layer, "it is used more than once")
        self._taps.append(_Tap(layer, self._registry.lookup(layer)))
        return self._taps[-1](*args, **kwargs)

    @tf.autograph.experimental.do_not_convert  # nothing here depends on values
    def sum(self, inputs: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The clipped sum; to be called while a tf.function is traced.

        Args:
            inputs: (B, H, W, C) float32.
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
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
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


class _Tap(keras.layers.Layer):
    """Stands in a model for one of its layers, and keeps what that layer's rule gives."""

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
