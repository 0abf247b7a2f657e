from collections import Counter

import numpy as np
import pytest
from keras import layers
from refusals import refuses

from mia_tf import models
from mia_tf.config import WITHOUT_NORM, TrainingConfig, check_images_fit


def cnn_parameters(filters, scales, channels, classes):
    """Kernels and biases of LiRA's network, counted layer by layer."""
    widths = [(channels, filters)]
    for i in range(scales):
        widths += [(filters << i, filters << i), (filters << i, filters << i + 1)]
    widths.append((filters << scales, classes))
    return sum(9 * a * b + b for a, b in widths)


PARAMETERS = {  # trainable ones, at 32x32x3 and ten classes
    "cnn8-3-max": cnn_parameters(8, 3, 3, 10),
    "cnn32-3-mean": cnn_parameters(32, 3, 3, 10),
    "cnn64-3-max": cnn_parameters(64, 3, 3, 10),
    "cnn5-1-mean": cnn_parameters(5, 1, 3, 10),
    # The public implementations' counts: 36.5 million for WRN-28-10 (Zagoruyko and Komodakis 2016,
    # table 4), 11,173,962 for ResNet-18 with a 3x3 stem, 6,573,130 for DAWNBench's ResNet-9.
    "wrn28-1": 369_498,
    "wrn28-2": 1_467_610,
    "wrn28-10": 36_479_194,
    "resnet9": 6_573_130,
    "resnet18": 11_173_962,
    # Those of the public implementations for CIFAR-10 (pytorch-cifar).
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "mobilenetv2": 2_296_922,
    "densenet121": 6_956_298,
    "vgg16": 14_728_266,
}
BUILT_SEED = 1


@pytest.fixture(scope="module", params=PARAMETERS)
def built(request):
    """An architecture's name, and its model at 32x32x3 and ten classes."""
    return request.param, models.build(request.param, (32, 32, 3), 10, seed=BUILT_SEED)


def test_parameter_counts(built):
    arch, model = built
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == PARAMETERS[arch]
    assert model.output_shape == (None, 10)


CONVOLUTIONS = {  # by the side of the maps they give, added up from the tables of the papers
    # The first, two of each scale, and the last, to the classes.
    "cnn8-3-max": {32: 1 + 2, 16: 2, 8: 2, 4: 1},
    "cnn32-3-mean": {32: 1 + 2, 16: 2, 8: 2, 4: 1},
    "cnn64-3-max": {32: 1 + 2, 16: 2, 8: 2, 4: 1},
    "cnn5-1-mean": {32: 1 + 2, 16: 1},
    # Four blocks of two in each group, and a projection where the shape changes: not in the first group of width 1.
    "wrn28-1": {32: 1 + 8, 16: 8 + 1, 8: 8 + 1},
    "wrn28-2": {32: 1 + 8 + 1, 16: 8 + 1, 8: 8 + 1},
    "wrn28-10": {32: 1 + 8 + 1, 16: 8 + 1, 8: 8 + 1},
    # Pooled after the second, the fifth and the sixth; a residual block of two after the first pool and the last.
    "resnet9": {32: 2, 16: 2 + 1, 8: 1, 4: 2},
    "resnet18": {32: 1 + 4, 16: 4 + 1, 8: 4 + 1, 4: 4 + 1},
    "resnet34": {32: 1 + 6, 16: 8 + 1, 8: 12 + 1, 4: 6 + 1},
    # Strides are in the 3x3 convolutions: the first 1x1 of a stage still works at the size before.
    "resnet50": {32: 1 + 9 + 1 + 1, 16: 11 + 1 + 1, 8: 17 + 1 + 1, 4: 8 + 1},
    "mobilenetv2": {32: 1 + 4 + 7 + 1, 16: 2 + 6 + 1, 8: 2 + 9 + 10 + 1, 4: 2 + 6 + 4 + 1},
    "densenet121": {32: 1 + 12 + 1, 16: 24 + 1, 8: 48 + 1, 4: 32},
    "vgg16": {32: 2, 16: 2, 8: 3, 4: 3, 2: 3},
}


def test_sizes_are_those_for_small_images(built):
    arch, model = built
    sides = Counter(
        layer.output.shape[1] for layer in model.layers if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)
    )
    assert sides == CONVOLUTIONS[arch]


def test_initial_weights_have_the_published_spread(built):
    _, model = built
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            kernel = layer.kernel.numpy()
            depthwise = isinstance(layer, layers.DepthwiseConv2D)
            fan_in = np.prod(kernel.shape[:2]) if depthwise else np.prod(kernel.shape[:-1])
            # Five standard errors of the deviation and of the mean.
            assert kernel.std() * np.sqrt(fan_in) == pytest.approx(1, abs=5 / np.sqrt(2 * kernel.size))
            assert abs(kernel.mean()) * np.sqrt(fan_in) < 5 / np.sqrt(kernel.size)
            assert layer.bias is None or not layer.bias.numpy().any()


def test_groups_replace_every_batch_normalisation(built):
    arch, batch = built
    if arch.startswith(WITHOUT_NORM):
        with refuses("norm", "group"):
            models.build(arch, (28, 28, 1), 10, seed=1, norm="group")
        return
    if arch == "wrn28-10":
        pytest.skip("its layers are wrn28-1's")
    group = models.build(arch, (28, 28, 1), 10, seed=1, norm="group")
    normed = [layer for layer in batch.layers if isinstance(layer, layers.BatchNormalization)]
    grouped = [layer for layer in group.layers if isinstance(layer, layers.GroupNormalization)]
    assert [layer.input.shape[-1] for layer in grouped] == [layer.input.shape[-1] for layer in normed]
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in group.layers)
    for layer in grouped:
        width = layer.input.shape[-1]
        assert layer.groups == (16 if width % 16 == 0 else 8) and width % layer.groups == 0 and layer.epsilon == 1e-5
    # A scale and a shift a channel, as batch normalisation has: the same weights but in the convolution of one
    # channel, of the same initial values.
    first, *others = zip(batch.trainable_variables, group.trainable_variables, strict=True)
    assert first[0].shape[-1] == first[1].shape[-1]
    for a, b in others:
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not group.non_trainable_variables
    images = np.random.default_rng(0).uniform(-1, 1, (3, 28, 28, 1)).astype(np.float32)
    together, alone = np.asarray(group(images, training=True)), np.asarray(group(images[:1], training=False))
    assert together.shape == (3, 10) and together.std(axis=0).min() > 0
    # An answer depends on its own image only: the same sums in another order, float32 rounding of a deep network.
    np.testing.assert_allclose(together[:1], alone, atol=1e-4 * np.abs(together).max())


@pytest.mark.parametrize("arch", PARAMETERS)
def test_every_architecture_takes_the_images_of_the_papers(arch):
    for shape in ((28, 28, 1), (32, 32, 3)):
        check_images_fit(TrainingConfig(arch=arch), shape)


def slow_cnn(image, weights, scales, pooling):
    """LiRA's network on one image, with loops."""
    weights = iter(weights)

    def conv(x):
        kernel, bias = next(weights), next(weights)
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        out = np.empty((*x.shape[:2], kernel.shape[-1]))
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                out[i, j] = np.tensordot(padded[i : i + 3, j : j + 3], kernel, 3) + bias
        return out

    def leaky(x):
        return np.where(x > 0, x, 0.1 * x)

    def pool(x):
        height, width = x.shape[0] // 2, x.shape[1] // 2
        return pooling(x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1), axis=(1, 3))

    x = leaky(conv(image))
    for _ in range(scales):
        x = pool(leaky(conv(leaky(conv(x)))))
    return conv(x).mean((0, 1))


@pytest.mark.parametrize("name, pooling", [("max", np.max), ("mean", np.mean)])
def test_cnn_is_the_published_network(name, pooling):
    model = models.build(f"cnn3-2-{name}", (9, 10, 2), 5, seed=4)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(size=w.shape) * 0.1 for w in model.get_weights()])
    images = rng.uniform(-1, 1, (3, 9, 10, 2)).astype(np.float32)
    expected = [slow_cnn(image, model.get_weights(), 2, pooling) for image in images]
    np.testing.assert_allclose(model(images), expected, atol=1e-5)


def test_the_seed_alone_decides_the_weights():
    one, again, other = (models.build("resnet9", (16, 16, 1), 10, seed=s).get_weights() for s in (3, 3, 4))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [(a, b) for a, b in zip(one, other, strict=True) if a.ndim > 1]
    assert all((a != b).any() for a, b in kernels)
    # Layers of one shape start apart from each other, too.
    shapes = {}
    for kernel, _ in kernels:
        assert not any(np.array_equal(kernel, k) for k in shapes.get(kernel.shape, []))
        shapes.setdefault(kernel.shape, []).append(kernel)


@pytest.mark.parametrize("arch", ["cnn0-3-max", "cnn8-3-min", "cnn8-3", "wrn28-4", "resnet51", "CNN8-3-max", ""])
def test_unknown_architectures_are_refused(arch):
    with refuses("arch", arch, "must be one of cnn{F}"):
        models.build(arch, (32, 32, 3), 10, seed=0)


def test_initial_weights_are_those_of_a_fresh_model_without_building_it(built):
    _, model = built
    fresh, other = model.get_weights(), models.initial_weights(model, BUILT_SEED + 1)
    built_weights = models.initial_weights(model, BUILT_SEED)
    assert len(built_weights) == len(other) == len(fresh)
    for weights, expected, different in zip(built_weights, fresh, other, strict=True):
        np.testing.assert_array_equal(weights, expected)
        assert (different != expected).any() == (expected.ndim > 1)  # kernels are drawn, all else is constant


def test_initial_weights_are_drawn_by_numpy():
    """So that they are the same on every backend and device, layer by layer from streams of the model's seed."""
    model = models.build("cnn4-1-max", (8, 8, 1), 4, seed=3)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    for number, kernel in enumerate(kernels, start=1):
        draws = np.random.default_rng([3, 0, number]).standard_normal(kernel.shape, np.float32)
        expected = draws / np.sqrt(9 * kernel.shape[2])
        np.testing.assert_allclose(kernel.numpy(), expected, rtol=1e-6)


def test_low_precision_is_of_the_layers_alone():
    model = models.build("resnet9", (16, 16, 3), 10, seed=1, precision="bfloat16")
    *inner, last = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert {layer.compute_dtype for layer in inner} == {"bfloat16"} and last.compute_dtype == "float32"
    assert {str(v.dtype) for v in model.weights} == {"float32"} and model.output.dtype == "float32"
    cnn = models.build("cnn4-1-max", (8, 8, 1), 4, seed=1, precision="bfloat16")
    assert cnn.output.dtype == "float32" and cnn.layers[1].compute_dtype == "bfloat16"
    after = models.build("cnn4-1-max", (8, 8, 1), 4, seed=1)
    assert {layer.compute_dtype for layer in after.layers} == {"float32"}  # the setting does not outlive the call
