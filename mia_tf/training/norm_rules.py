"""How a layer's per-example gradients are normed and summed, without a backward pass for each example.

A rule has the form of TF-Privacy's registry functions: `rule(layer, args, kwargs, tape, num_microbatches)` returns `(z,
outputs, sqr_norms)`. `sqr_norms` takes the gradient of the summed loss with respect to z; its row i comes from example
i alone. It returns (B,), the squared norms of each example's gradient of the layer's weights. TF-Privacy has such rules
for Dense and Embedding, of which the second fails with Keras 3; here are those for convolutions and group
normalisation, and for their biases. Ours return an object as `sqr_norms`. If it holds the per-example gradients, it
also returns their weighted sum (`weighted_sum`), so that they are computed once.
"""

import math

import keras
import tensorflow as tf

from mia_tf.training.private_checks import refuse
from mia_tf.training.tf_privacy import layer_registry

_GHOST_ADVANTAGE = 5.0
"""Norms come from Gram matrices if those take this many times fewer multiplications than the per-example
gradients. They are wider in memory and need the weighted sum by a second product: on AVX-512 with oneDNN the
gradients themselves were faster at three, Gram matrices at twelve."""

_RULED = ("kernel", "bias", "gamma", "beta")
"""Names of the weights that the rules know."""


def make_registry():
    """TF-Privacy's LayerRegistry with its own rules and ours."""
    registry = layer_registry.make_default_layer_registry()
    registry.insert(keras.layers.Conv2D, _conv)
    registry.insert(keras.layers.DepthwiseConv2D, _depthwise_conv)
    registry.insert(keras.layers.GroupNormalization, _group_norm)
    return registry


def check_supported(model: keras.Model) -> None:
    """Raises InputError, which names the layer, if per-example gradients of a model cannot be computed."""
    registry = make_registry()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            refuse(layer, "it mixes the examples of a batch; GroupNormalization takes its place")
        if isinstance(layer, keras.layers.Embedding) and layer.trainable:
            refuse(layer, "there is no rule for its per-example gradients; KERAS_BACKEND=jax trains it")
        if layer.trainable_variables and not registry.is_elem(layer):
            refuse(layer, "there is no rule for its per-example gradients")
        # A rule norms the gradients of these and of all of these: others, such as a LoRA's, would go unclipped.
        trained, own = layer.trainable_variables, [v for v in layer.weights if v.name in _RULED]
        if trained and [id(v) for v in trained] != [id(v) for v in own]:
            refuse(layer, "it must train all of its own weights and no others, such as an activation's")
        if isinstance(layer, keras.layers.Conv2D) and layer.groups != 1:
            refuse(layer, "only one group of channels is supported")
        if getattr(layer, "data_format", "channels_last") != "channels_last" and trained:
            refuse(layer, "only the channels last are supported")
        if isinstance(layer, keras.layers.GroupNormalization) and layer.axis not in (-1, layer.input.ndim - 1):
            refuse(layer, "only the last axis is supported")


def check_float32(model: keras.Model) -> None:
    """Raises InputError, which names the layer, if a layer computes in another precision than float32."""
    for layer in model._flatten_layers():
        if layer.compute_dtype != "float32":
            refuse(layer, f"it computes in {layer.compute_dtype}; on TensorFlow only float32 is supported")


# ---- convolutions


def _conv(layer, args, kwargs, tape, num_microbatches):
    return _convolution(layer, args, tape, _ConvolutionNorms)


def _depthwise_conv(layer, args, kwargs, tape, num_microbatches):
    return _convolution(layer, args, tape, _DepthwiseNorms)


def _convolution(layer, args, tape, norms):
    (inputs,) = args
    activation, layer.activation = layer.activation, None
    z = layer(inputs)
    layer.activation = activation
    tape.watch(z)
    return z, z if activation is None else activation(z), norms(layer, inputs)


class _Window:
    """Which pixels of the input a convolution's kernel meets: one axis, TensorFlow's padding."""

    def __init__(self, size: int, kernel: int, stride: int, dilation: int, padding: str):
        reach = (kernel - 1) * dilation + 1
        self.size, self.kernel, self.stride, self.dilation = size, kernel, stride, dilation
        self.outputs = -(-size // stride) if padding == "same" else -(-(size - reach + 1) // stride)
        beyond = max((self.outputs - 1) * stride + reach - size, 0)
        self.before = beyond // 2 if padding == "same" else 0
        self.after = beyond - self.before

    def slices(self) -> list[slice]:
        """For each kernel position, the pixels of the padded input that it meets, one for each output."""
        starts = [k * self.dilation for k in range(self.kernel)]
        return [slice(s, s + (self.outputs - 1) * self.stride + 1, self.stride) for s in starts]

    def mirrored(self) -> tuple[tuple[int, int], list[slice]]:
        """For stride 1: the padding of the OUTPUT and, for each kernel position, its outputs as seen from every
        input pixel."""
        reach = (self.kernel - 1) * self.dilation
        padding = (reach - self.before, self.size + self.before - self.outputs)
        starts = [reach - k * self.dilation for k in range(self.kernel)]
        return padding, [slice(s, s + self.size) for s in starts]


class _ConvolutionNorms:
    """Per-example gradients of a Conv2D's kernel and bias.

    The gradient of example i is a matrix product over the output positions, of what the kernel meets in the
    input and the output's gradient. Where that is large and the map is small, the squared norm comes from the
    two Gram matrices over positions instead (Goodfellow 2015; Bu, Mao and Xu 2022 for convolutions).
    """

    def __init__(self, layer: keras.layers.Conv2D, inputs: tf.Tensor):
        sizes = zip(inputs.shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
        self._rows, self._columns = (_Window(*size, layer.padding) for size in sizes)
        self._inputs, self._use_bias = inputs, layer.use_bias
        self._kernel_shape = layer.kernel.shape
        channels, filters = self._kernel_shape[2:]
        pixels = inputs.shape[1] * inputs.shape[2]
        positions = self._rows.outputs * self._columns.outputs
        taps = math.prod(layer.kernel_size)
        by_gram = pixels**2 * channels + positions**2 * (filters + taps)
        if by_gram * _GHOST_ADVANTAGE > positions * taps * channels * filters:
            self.weighted_sum = self._weighted_sum
        self._gradients = []

    def __call__(self, output_gradient: tf.Tensor) -> tf.Tensor:
        bias = tf.reduce_sum(output_gradient, axis=(1, 2))
        squares = tf.reduce_sum(bias**2, axis=1) if self._use_bias else 0.0
        if not hasattr(self, "weighted_sum"):
            return squares + self._by_gram(output_gradient)
        kernel = self._kernel_gradients(output_gradient)
        self._gradients = [kernel, bias] if self._use_bias else [kernel]
        return squares + tf.reduce_sum(kernel**2, axis=(1, 2))

    def _kernel_gradients(self, output_gradient: tf.Tensor) -> tf.Tensor:
        """(B, columns x channels, rows x filters): the kernel's gradient of each example.

        The kernel's columns are gathered from the input and, at stride 1, its rows from the output's gradient:
        (3 + 3) copies for a 3x3 kernel where patches of the input would be 9, and a squarer product.
        """
        rows, columns = self._rows, self._columns
        seen = tf.pad(self._inputs, [[0, 0], [0, 0], [columns.before, columns.after], [0, 0]])
        seen = tf.concat([seen[:, :, where] for where in columns.slices()], axis=-1)
        if rows.stride == 1:
            padding, slices = rows.mirrored()
            below = tf.pad(output_gradient, [[0, 0], padding, [0, 0], [0, 0]])
            below = tf.concat([below[:, where] for where in slices], axis=-1)
        else:
            seen = tf.pad(seen, [[0, 0], [rows.before, rows.after], [0, 0], [0, 0]])
            seen = tf.concat([seen[:, where] for where in rows.slices()], axis=-1)
            below = output_gradient
        return tf.matmul(_positions_by_channels(seen), _positions_by_channels(below), transpose_a=True)

    def _weighted_sum(self, weights: tf.Tensor) -> list[tf.Tensor]:
        kernel, *bias = [tf.tensordot(weights, gradients, 1) for gradients in self._gradients]
        height, width, channels, filters = self._kernel_shape
        if self._rows.stride == 1:
            kernel = tf.transpose(tf.reshape(kernel, [width, channels, height, filters]), [2, 0, 1, 3])
        return [tf.reshape(kernel, self._kernel_shape), *bias]

    def _by_gram(self, output_gradient: tf.Tensor) -> tf.Tensor:
        """(B,) squared norms: the Gram matrix of what the kernel meets, times that of the output's gradient."""
        rows, columns = self._rows, self._columns
        pixels = _positions_by_channels(self._inputs)
        gram = tf.matmul(pixels, pixels, transpose_b=True)
        gram = tf.reshape(gram, [-1, rows.size, columns.size, rows.size, columns.size])
        around = [[rows.before, rows.after], [columns.before, columns.after]]
        gram = tf.pad(gram, [[0, 0], *around, *around])
        gram = tf.add_n([gram[:, r, c, r, c] for r in rows.slices() for c in columns.slices()])
        below = _positions_by_channels(output_gradient)
        below = tf.matmul(below, below, transpose_b=True)
        return tf.reduce_sum(tf.reshape(gram, tf.shape(below)) * below, axis=(1, 2))


class _DepthwiseNorms:
    """Per-example gradients of a DepthwiseConv2D's kernel and bias."""

    def __init__(self, layer: keras.layers.DepthwiseConv2D, inputs: tf.Tensor):
        sizes = zip(inputs.shape[1:3], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
        self._rows, self._columns = (_Window(*size, layer.padding) for size in sizes)
        self._inputs, self._use_bias = inputs, layer.use_bias
        self._kernel_shape = layer.kernel.shape
        self._gradients = []

    def __call__(self, output_gradient: tf.Tensor) -> tf.Tensor:
        rows, columns = self._rows, self._columns
        channels, multiplier = self._kernel_shape[2:]
        shape = [-1, rows.outputs, columns.outputs, channels, multiplier]
        around = [[0, 0], [rows.before, rows.after], [columns.before, columns.after], [0, 0]]
        seen, below = tf.pad(self._inputs, around), tf.reshape(output_gradient, shape)
        taps = [seen[:, r, c, :, None] * below for r in rows.slices() for c in columns.slices()]
        self._gradients = [tf.stack([tf.reduce_sum(tap, axis=(1, 2)) for tap in taps], axis=1)]
        if self._use_bias:
            self._gradients.append(tf.reduce_sum(output_gradient, axis=(1, 2)))
        return _squared_norms(self._gradients)

    def weighted_sum(self, weights: tf.Tensor) -> list[tf.Tensor]:
        kernel, *bias = [tf.tensordot(weights, gradients, 1) for gradients in self._gradients]
        return [tf.reshape(kernel, self._kernel_shape), *bias]


def _positions_by_channels(maps: tf.Tensor) -> tf.Tensor:
    """(B, H, W, C) as (B, H x W, C)."""
    return tf.reshape(maps, [-1, maps.shape[1] * maps.shape[2], maps.shape[3]])


def _squared_norms(gradients: list[tf.Tensor]) -> tf.Tensor:
    """(B,) squared norms over all of a layer's per-example gradients, each (B, ...)."""
    return tf.add_n([tf.reduce_sum(g**2, axis=range(1, g.shape.rank)) for g in gradients])


# ---- group normalisation


def _group_norm(layer, args, kwargs, tape, num_microbatches):
    (inputs,) = args
    channels = inputs.shape[-1]
    grouped = tf.reshape(inputs, [-1, math.prod(inputs.shape[1:-1]), layer.groups, channels // layer.groups])
    mean, variance = tf.nn.moments(grouped, axes=(1, 3), keepdims=True)
    normalised = tf.reshape((grouped - mean) * tf.math.rsqrt(variance + layer.epsilon), tf.shape(inputs))
    z = normalised
    if layer.scale:
        z = z * layer.gamma.value
    if layer.center:
        z = z + layer.beta.value
    tape.watch(z)
    return z, z, _ScaleNorms(layer, normalised)


class _ScaleNorms:
    """Per-example gradients of a normalisation's scale and offset."""

    def __init__(self, layer: keras.layers.GroupNormalization, normalised: tf.Tensor):
        self._layer, self._normalised, self._gradients = layer, normalised, []

    def __call__(self, output_gradient: tf.Tensor) -> tf.Tensor:
        positions = range(1, output_gradient.shape.rank - 1)
        parts = {"scale": output_gradient * self._normalised, "center": output_gradient}
        self._gradients = [tf.reduce_sum(g, axis=positions) for name, g in parts.items() if getattr(self._layer, name)]
        return _squared_norms(self._gradients)

    def weighted_sum(self, weights: tf.Tensor) -> list[tf.Tensor]:
        return [tf.tensordot(weights, gradients, 1) for gradients in self._gradients]
