"""Several ways to compute the convolutions of K models at once, and the choice of the fastest for each layer.

Each is written for one model, and JAX maps it over the models. What that gives:

    grouped   JAX's convolution becomes one with K groups of channels
    patches   what each output sees is copied side by side; the products become one batched matrix product
    shifted   one batched matrix product for each position of the kernel, summed; no copies

Which is fastest depends on the layer's shape and the device, so it is measured there. What can be computed again from
the inputs is not kept for the backward pass: nine copies of every input would fill the memory. Layers that JAX has slow
ways for, and that leave no choice, are computed in a better one: depthwise convolutions and poolings by two.
"""

import functools
import math
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import keras
from jax import lax

from mia_tf.training import measured

_TRIALS, _REPEATS = 3, 4
"""Measurements of each way, the best of which counts, and convolutions in each."""
# JAX documents the function, and its types leave it out.
_recomputed = functools.partial(jax.checkpoint, static_argnums=(2, 3))  # pyright: ignore[reportPrivateImportUsage]


def grouped(inputs, kernel, strides, padding):
    """The convolution as JAX has it."""
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(inputs, kernel, strides, padding.upper(), dimension_numbers=dimensions)


@_recomputed
def patches(inputs, kernel, strides, padding):
    """One product of all that each output sees with the kernel as a matrix."""
    seen = jnp.concatenate(_shifted_views(inputs, kernel.shape, strides, padding), axis=-1)
    return seen @ kernel.reshape(-1, kernel.shape[-1])


@_recomputed
def shifted(inputs, kernel, strides, padding):
    """The sum over the kernel's positions of products with the image seen from there."""
    views = _shifted_views(inputs, kernel.shape, strides, padding)
    products = (
        jnp.matmul(view, weights, preferred_element_type=jnp.float32)
        for view, weights in zip(views, kernel.reshape(-1, *kernel.shape[2:]), strict=True)
    )
    return functools.reduce(jnp.add, products).astype(inputs.dtype)


@_recomputed
def depthwise(inputs, kernel, strides, padding):
    """A convolution of each channel by itself, as sums of elementwise products; kernel (h, w, C, 1)."""
    views = _shifted_views(inputs, kernel.shape, strides, padding)
    kernel = kernel.reshape(-1, kernel.shape[2]).astype(jnp.float32)
    products = (view * weights for view, weights in zip(views, kernel, strict=True))
    return functools.reduce(jnp.add, products).astype(inputs.dtype)


def max_pool_by_two(inputs):
    """The largest of each two by two pixels; of equal ones the first has the gradient, as in JAX's own."""
    height, width = (side // 2 * 2 for side in inputs.shape[1:3])

    def larger(a, b):
        return jnp.where(a >= b, a, b)

    upper, lower = (larger(inputs[:, row:height:2, 0:width:2], inputs[:, row:height:2, 1:width:2]) for row in (0, 1))
    return larger(upper, lower)


FORMULATIONS: dict[str, Callable] = {"grouped": grouped, "patches": patches, "shifted": shifted}
"""Each maps (B, H, W, C) inputs and an (h, w, C, F) kernel to (B, H', W', F)."""


def _shifted_views(inputs, kernel_shape, strides, padding) -> list:
    """For each position of the kernel the (B, H', W', C) pixels that it meets; TensorFlow's padding."""
    starts, counts, around = [], [], [(0, 0)]
    for size, reach, stride in zip(inputs.shape[1:3], kernel_shape[:2], strides, strict=True):
        count = -(-size // stride) if padding == "same" else (size - reach) // stride + 1
        beyond = max((count - 1) * stride + reach - size, 0) if padding == "same" else 0
        around.append((beyond // 2, beyond - beyond // 2))
        starts.append(range(reach))
        counts.append((count - 1) * stride + 1)
    padded = jnp.pad(inputs, [*around, (0, 0)])
    return [
        padded[:, r : r + counts[0] : strides[0], c : c + counts[1] : strides[1]] for r in starts[0] for c in starts[1]
    ]


def formulate(model: keras.Model, choose: Callable[[keras.layers.Conv2D], str]) -> dict[str, str]:
    """Has a model's convolutions computed in the ways that `choose` names, and its poolings by two in ours.

    Args:
        model: changed in place. Layers with dilation or groups keep Keras' way.
        choose: layer -> one of FORMULATIONS; asked for convolutions wider than a pixel.

    Returns:
        Name of each layer that `choose` was asked for -> its answer.
    """
    chosen = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.MaxPooling2D):
            if layer.pool_size == layer.strides == (2, 2) and layer.padding == "valid":
                layer.call = max_pool_by_two
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            if layer.depth_multiplier == 1 and _is_plain(layer):
                layer.call = functools.partial(_call_depthwise, layer)
        elif isinstance(layer, keras.layers.Conv2D) and layer.groups == 1 and _is_plain(layer):
            way = patches  # of one pixel: nothing is copied
            if layer.kernel_size != (1, 1):
                chosen[layer.name] = choose(layer)
                way = FORMULATIONS[chosen[layer.name]]
            layer.convolution_op = functools.partial(_convolve, layer, way)
    return chosen


def _is_plain(layer) -> bool:
    return layer.data_format == "channels_last" and layer.dilation_rate == (1, 1) and layer.padding in ("same", "valid")


def _convolve(layer, way, inputs, kernel):
    return way(inputs, jnp.asarray(kernel), layer.strides, layer.padding)


def _call_depthwise(layer, inputs):
    outputs = depthwise(inputs, jnp.asarray(layer.kernel.value), layer.strides, layer.padding)
    return layer.activation(outputs + layer.bias if layer.use_bias else outputs)


class Fastest:
    """Chooses the formulation that is fastest on this device, forward and backward.

    Args:
        models: how many there are at once.
        gradients: of each model, each from its own share of the batch: 1, or in private training a microbatch's.
        batch: images in each share.
        dtype: of the computation.
    """

    def __init__(self, models: int, gradients: int, batch: int, dtype: str):
        self._shares, self._dtype = (models, gradients, batch), dtype
        self._known: dict[tuple, dict[str, float]] = {}

    def __call__(self, layer: keras.layers.Conv2D) -> str:
        seconds = self.measure(layer)
        return min(seconds, key=seconds.__getitem__)

    def measure(self, layer: keras.layers.Conv2D) -> dict[str, float]:
        """Name of each formulation -> seconds of one convolution and its backward pass, infinite if the device
        cannot compute it so; measured once for a shape on a machine.

        Raises:
            jax.errors.JaxRuntimeError: no formulation can be computed, and not for want of memory alone, of which
                fewer models need less.
        """
        key = (*layer.input.shape[1:], *layer.kernel.shape, *layer.strides, layer.padding)
        if key not in self._known:
            setting = {"layer": key, "shares": self._shares, "dtype": self._dtype, "names": list(FORMULATIONS)}
            setting |= {"device": jax.local_devices()[0].device_kind, "jax": jax.__version__}
            seconds = measured.recall("convolution", setting)
            if seconds is None:
                seconds = self._measure(layer)
                if max(seconds.values()) < math.inf:  # where memory was short, another process may have more of it
                    measured.keep("convolution", setting, seconds)
            self._known[key] = seconds
        return self._known[key]

    def _measure(self, layer: keras.layers.Conv2D) -> dict[str, float]:
        seconds, broken = {}, None
        for name, way in FORMULATIONS.items():
            try:
                seconds[name] = self._seconds(way, layer)
            except jax.errors.JaxRuntimeError as error:
                seconds[name] = math.inf
                broken = broken if "RESOURCE_EXHAUSTED" in str(error) else error
        if broken and min(seconds.values()) == math.inf:
            raise broken
        return seconds

    def _seconds(self, way: Callable, layer: keras.layers.Conv2D) -> float:
        models, *_ = self._shares

        def there_and_back(inputs, kernel):
            outputs, back = jax.vjp(lambda x, w: way(x, w, layer.strides, layer.padding), inputs, kernel)
            return back(outputs)

        def step(_, arrays):
            # Each share has the kernel in common and a gradient of its own, as training has them.
            inputs, kernels = jax.vmap(jax.vmap(there_and_back, in_axes=(0, None)))(*arrays)
            return jnp.tanh(inputs), jnp.tanh(kernels.sum(axis=1))

        @jax.jit
        def draw():
            inputs, kernel = jax.random.split(jax.random.key(0))
            shape = (*self._shares, *layer.input.shape[1:])
            return (
                jax.random.normal(inputs, shape, self._dtype),
                jax.random.normal(kernel, (models, *layer.kernel.shape), self._dtype),
            )

        # In a loop as training has it, where XLA compiles a convolution for the CPU in another way.
        run = jax.jit(lambda arrays: lax.fori_loop(0, _REPEATS, step, arrays))
        arrays = draw()
        jax.block_until_ready(run(arrays))
        seconds = []
        for _ in range(_TRIALS):
            started = time.perf_counter()
            jax.block_until_ready(run(arrays))
            seconds.append(time.perf_counter() - started)
        return min(seconds) / _REPEATS
