"""Architectures by name: fresh Keras models whose weights depend on a seed alone.

Every model maps (B, H, W, C) float32 images in [-1, 1] to (B, num_classes) float32 logits.
A new architecture is one builder here, in `_NETWORKS`, and one name pattern in `mia_tf.config.ARCHITECTURES`.
"""

import math
import re
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from mia_tf.config import ARCHITECTURES, check_architecture

LEAKY_SLOPE = 0.1
MAX_FILTERS = 1024
BATCH_NORM_MOMENTUM = 0.9
"""Share of the old running statistics kept at each step. LiRA's code has 0.999, but queries its
models with batch statistics; ours answers with the running ones, which must have settled after
the few hundred steps of a small run."""
GROUPS = 16
"""Groups of a group normalisation. A width that this does not divide has their greatest common divisor."""


def build(
    arch: str,
    image_shape: tuple[int, ...],
    num_classes: int,
    seed: int,
    norm: str = "batch",
    precision: str = "float32",
) -> keras.Model:
    """Builds a model with freshly drawn weights.

    Args:
        arch: "cnn{F}-{S}-{max|mean}", no layer wider than 1,024 filters, or "wrn28-{1,2,10}" (both LiRA's
            published code); "resnet9" (nine layers, for CIFAR); or one of LiRA's figure 12 as it is usual on images
            of 32 pixels, where the stem halves nothing: "resnet{18,34,50}" (He et al. 2015), "mobilenetv2" (Sandler
            et al. 2018), "densenet121" (Huang et al. 2017), "vgg16" (Simonyan and Zisserman 2015, with
            normalisation and one dense layer).
        image_shape: (H, W, C) in pixels.
        num_classes: number of logits.
        seed: of the initial weights; equal seeds give equal weights, whatever the normalisation and the backend.
        norm: "batch", or "group" for a group normalisation in place of every batch normalisation: answers and
            gradients then depend on one example at a time, as private training needs.
        precision: "float32", or "bfloat16" for layers that compute in it, but for the last: the loss hangs on small
            differences of large logits. Weights are float32 all the same.

    Raises:
        InputError: unknown architecture or normalisation, or groups for an architecture that normalises nothing.
    """
    check_architecture(arch, norm)
    matches = ((network, re.fullmatch(pattern, arch)) for pattern, network in _NETWORKS.items())
    network, parts = next((network, match.groupdict()) for network, match in matches if match)
    before = keras.config.dtype_policy()
    if precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input(image_shape)
        outputs = network(_Layers(seed, norm), inputs, num_classes, **parts)
        return keras.Model(inputs, outputs)
    finally:
        keras.config.set_dtype_policy(before)


def initial_weights(model: keras.Model, seed: int) -> list[np.ndarray]:
    """The weights that `build` gives a model of the same architecture with another seed, without building it.

    Args:
        model: of `build`, whatever its weights are now.
        seed: of the initial weights.

    Returns:
        float32 arrays in the order of `model.weights`.
    """
    drawn = {id(layer.kernel): initializer for layer in model.layers if (initializer := _initializer_of(layer))}
    return [
        drawn[id(v)].draw(v.shape, seed) if id(v) in drawn else np.full(v.shape, _CONSTANTS[v.name], np.float32)
        for v in model.weights
    ]


_STREAM = 0
"""Of a model's seed; `mia_tf.training.schedules` has the others."""
_CONSTANTS = {"bias": 0, "beta": 0, "gamma": 1, "moving_mean": 0, "moving_variance": 1}
"""What the weights that are not drawn begin with, by Keras' names of them."""


def _initializer_of(layer: keras.layers.Layer) -> "FanInNormal | None":
    initializers = (getattr(layer, name, None) for name in ("kernel_initializer", "depthwise_initializer"))
    return next((initializer for initializer in initializers if isinstance(initializer, FanInNormal)), None)


def is_decayed(variable: keras.Variable) -> bool:
    """Whether weight decay applies: to weights as in LiRA's code, not to biases, nor to a normalisation's scales."""
    return variable.name == "kernel"


@keras.saving.register_keras_serializable("mia_tf")
class FanInNormal(keras.initializers.Initializer):
    """Normal with standard deviation 1/sqrt(fan_in), as in LiRA's published code, drawn by NumPy.

    NumPy draws the same on every backend and device, so that engines can be compared model by model.

    Args:
        seed: the model's.
        index: of the layer in its model, so that no two layers draw alike.
        groups: separate groups of input channels; each output sees the channels of one.
    """

    def __init__(self, seed: int, index: int, groups: int = 1):
        self.seed, self.index, self.groups = seed, index, groups

    def __call__(self, shape, dtype=None):
        return keras.ops.convert_to_tensor(self.draw(shape, self.seed), dtype)

    def draw(self, shape: tuple[int, ...], seed: int) -> np.ndarray:
        """float32 weights of a kernel of any shape whose last axis is the output's."""
        fan_in = math.prod(shape[:-1]) / self.groups
        draws = np.random.default_rng([seed, _STREAM, self.index]).standard_normal(shape, np.float32)
        return draws / np.float32(math.sqrt(fan_in))

    def get_config(self) -> dict:
        return {"seed": self.seed, "index": self.index, "groups": self.groups}


class _Layers:
    """Makes layers, each with initial weights of its own that follow from the model's seed."""

    def __init__(self, seed: int, norm: str):
        self._seed, self._norm, self._count = seed, norm, 0

    def _initializer(self, groups: int = 1) -> FanInNormal:
        self._count += 1
        return FanInNormal(self._seed, self._count, groups)

    def conv(self, x, filters: int, size: int = 3, strides: int = 1, use_bias: bool = False, dtype=None):
        initializer = self._initializer()
        layer = layers.Conv2D(
            filters, size, strides, padding="same", use_bias=use_bias, kernel_initializer=initializer, dtype=dtype
        )
        return layer(x)

    def depthwise_conv(self, x, strides: int = 1):
        initializer = self._initializer(groups=x.shape[-1])
        layer = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, depthwise_initializer=initializer)
        return layer(x)

    def norm_relu(self, x):
        return layers.ReLU()(self.norm(x))

    def norm(self, x):
        if self._norm == "group":
            return layers.GroupNormalization(math.gcd(GROUPS, x.shape[-1]), epsilon=1e-5)(x)
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=1e-5)(x)

    def dense(self, x, units: int):
        return layers.Dense(units, kernel_initializer=self._initializer(), dtype=keras.config.floatx())(x)


def _cnn(make: _Layers, x, num_classes: int, filters: str, scales: str, pooling: str):
    """LiRA's plain convolutional network: no normalisation, two convolutions a scale."""

    def width(scale: int) -> int:
        return min(int(filters) << scale, MAX_FILTERS)

    def activation(x):
        return layers.LeakyReLU(negative_slope=LEAKY_SLOPE)(x)

    pool = layers.MaxPooling2D if pooling == "max" else layers.AveragePooling2D
    x = activation(make.conv(x, width(0), use_bias=True))
    for scale in range(int(scales)):
        x = activation(make.conv(x, width(scale), use_bias=True))
        x = activation(make.conv(x, width(scale + 1), use_bias=True))
        x = pool(2)(x)
    logits = make.conv(x, num_classes, use_bias=True, dtype=keras.config.floatx())
    return layers.GlobalAveragePooling2D(dtype=keras.config.floatx())(logits)


def _wide_resnet(make: _Layers, x, num_classes: int, width: str):
    """WRN-28-w: three groups of four pre-activation blocks (LiRA's published code)."""
    x = make.conv(x, 16)
    for group, filters in enumerate(int(width) * w for w in (16, 32, 64)):
        for block in range(4):
            strides = 2 if group > 0 and block == 0 else 1
            activated = make.norm_relu(x)
            # Where the shape changes, the activated input is projected.
            changed = strides > 1 or x.shape[-1] != filters
            shortcut = make.conv(activated, filters, 1, strides) if changed else x
            x = make.conv(activated, filters, 3, strides)
            x = make.conv(make.norm_relu(x), filters)
            x = layers.Add()([x, shortcut])
    return make.dense(layers.GlobalAveragePooling2D()(make.norm_relu(x)), num_classes)


def _resnet(make: _Layers, x, num_classes: int, depth: str):
    if depth == "9":
        return _resnet9(make, x, num_classes)
    block, blocks = {
        "18": (_basic_branch, (2, 2, 2, 2)),
        "34": (_basic_branch, (3, 4, 6, 3)),
        "50": (_bottleneck_branch, (3, 4, 6, 3)),
    }[depth]
    return _deep_resnet(make, x, num_classes, block, blocks)


def _resnet9(make: _Layers, x, num_classes: int):
    """Nine weight layers: convolutions with pooling, and identity blocks at widths 128 and 512."""

    def residual(x):
        branch = make.norm_relu(make.conv(x, x.shape[-1]))
        branch = make.norm_relu(make.conv(branch, x.shape[-1]))
        return layers.Add()([x, branch])

    x = make.norm_relu(make.conv(x, 64))
    x = residual(layers.MaxPooling2D(2)(make.norm_relu(make.conv(x, 128))))
    x = layers.MaxPooling2D(2)(make.norm_relu(make.conv(x, 256)))
    x = residual(layers.MaxPooling2D(2)(make.norm_relu(make.conv(x, 512))))
    return make.dense(layers.GlobalMaxPooling2D()(x), num_classes)


def _deep_resnet(make: _Layers, x, num_classes: int, branch_of: Callable, blocks: tuple[int, ...]):
    """Four stages of residual blocks, with a 3x3 stem and no initial pooling."""
    x = make.norm_relu(make.conv(x, 64))
    for stage, (filters, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True)):
        for block in range(count):
            strides = 2 if stage > 0 and block == 0 else 1
            branch = branch_of(make, x, filters, strides)
            changed = x.shape[1:] != branch.shape[1:]
            shortcut = make.norm(make.conv(x, branch.shape[-1], 1, strides)) if changed else x
            x = layers.ReLU()(layers.Add()([branch, shortcut]))
    return make.dense(layers.GlobalAveragePooling2D()(x), num_classes)


def _basic_branch(make: _Layers, x, filters: int, strides: int):
    x = make.norm_relu(make.conv(x, filters, 3, strides))
    return make.norm(make.conv(x, filters))


def _bottleneck_branch(make: _Layers, x, filters: int, strides: int):
    x = make.norm_relu(make.conv(x, filters, 1))
    x = make.norm_relu(make.conv(x, filters, 3, strides))
    return make.norm(make.conv(x, 4 * filters, 1))


def _mobilenetv2(make: _Layers, x, num_classes: int):
    """Seven stages of inverted residual blocks; the stem and the first two stages keep the size.

    In the variant for CIFAR every block that keeps the size has a shortcut, projected where the width changes,
    and rectifiers have no upper bound.
    """
    x = make.norm_relu(make.conv(x, 32))
    stages = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, filters, count, first_strides in stages:
        for block in range(count):
            strides = first_strides if block == 0 else 1
            branch = make.norm_relu(make.conv(x, expansion * x.shape[-1], 1))
            branch = make.norm_relu(make.depthwise_conv(branch, strides))
            branch = make.norm(make.conv(branch, filters, 1))
            if strides == 1:
                shortcut = x if x.shape[-1] == filters else make.norm(make.conv(x, filters, 1))
                branch = layers.Add()([branch, shortcut])
            x = branch
    x = make.norm_relu(make.conv(x, 1280, 1))
    return make.dense(layers.GlobalAveragePooling2D()(x), num_classes)


def _densenet121(make: _Layers, x, num_classes: int):
    """Four dense blocks of growth 32, with transitions that halve width and size between them."""
    growth = 32
    x = make.conv(x, 2 * growth)
    for block, count in enumerate((6, 12, 24, 16)):
        if block > 0:
            x = layers.AveragePooling2D(2)(make.conv(make.norm_relu(x), x.shape[-1] // 2, 1))
        for _ in range(count):
            added = make.conv(make.norm_relu(x), 4 * growth, 1)
            added = make.conv(make.norm_relu(added), growth)
            x = layers.Concatenate()([x, added])
    return make.dense(layers.GlobalAveragePooling2D()(make.norm_relu(x)), num_classes)


def _vgg16(make: _Layers, x, num_classes: int):
    """Thirteen 3x3 convolutions with biases, each normalised, in five scales."""
    for count, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            x = make.norm_relu(make.conv(x, filters, use_bias=True))
        # Rounding up, which changes nothing at 32 pixels: 28 can be halved five times so.
        x = layers.MaxPooling2D(2, padding="same")(x)
    return make.dense(layers.GlobalAveragePooling2D()(x), num_classes)


_NETWORKS: dict[str, Callable] = dict(
    zip(ARCHITECTURES, (_cnn, _wide_resnet, _resnet, _mobilenetv2, _densenet121, _vgg16), strict=True)
)
