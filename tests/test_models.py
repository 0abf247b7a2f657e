import numpy as np
import pytest
from keras import layers

from mia_tf import models
from mia_tf.validation import InputError


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
}


@pytest.mark.parametrize("arch", PARAMETERS)
def test_parameter_counts(arch):
    model = models.build(arch, (32, 32, 3), 10, seed=0)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == PARAMETERS[arch]
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("arch", [name for name in PARAMETERS if not name.startswith("cnn") and name != "wrn28-10"])
def test_groups_replace_every_batch_normalisation(arch):
    batch, group = (models.build(arch, (32, 32, 3), 10, seed=1, norm=norm) for norm in ("batch", "group"))
    normed = [layer for layer in batch.layers if isinstance(layer, layers.BatchNormalization)]
    grouped = [layer for layer in group.layers if isinstance(layer, layers.GroupNormalization)]
    assert [layer.input.shape for layer in grouped] == [layer.input.shape for layer in normed]
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in group.layers)
    for layer in grouped:
        width = layer.input.shape[-1]
        assert layer.groups == (16 if width % 16 == 0 else 8) and width % layer.groups == 0 and layer.epsilon == 1e-5
    # A scale and a shift a channel, as batch normalisation has: as many weights, with the same initial values.
    for a, b in zip(batch.trainable_variables, group.trainable_variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not group.non_trainable_variables


def test_with_groups_an_answer_depends_on_its_own_image_only():
    model = models.build("wrn28-1", (8, 8, 1), 4, seed=0, norm="group")
    images = np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 1)).astype(np.float32)
    # The same sums in another order: float32 rounding of logits of order one.
    np.testing.assert_allclose(model(images, training=True)[:1], model(images[:1], training=False), atol=1e-5)


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


def test_initial_weights_have_the_published_spread():
    kernel, bias = models.build("cnn64-3-max", (32, 32, 3), 10, seed=0).get_weights()[4:6]
    fan_in = 9 * 64
    # 73,728 draws: the standard error of their deviation is a quarter of a percent.
    assert kernel.std() * np.sqrt(fan_in) == pytest.approx(1, abs=0.0125)
    assert abs(kernel.mean()) * np.sqrt(fan_in) < 5 / np.sqrt(kernel.size)
    assert not bias.any()


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


@pytest.mark.parametrize("arch", ["cnn0-3-max", "cnn8-3-min", "cnn8-3", "wrn28-4", "resnet50", "CNN8-3-max", ""])
def test_unknown_architectures_are_refused(arch):
    with pytest.raises(InputError, match=r"arch.*must be one of cnn\{F\}"):
        models.build(arch, (32, 32, 3), 10, seed=0)
