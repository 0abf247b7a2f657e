"""Every way to compute a convolution against JAX's own, forward and backward."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from mia_tf import models
from mia_tf.training import convolutions
from mia_tf.training.convolutions import FORMULATIONS, Fastest, formulate

SHAPES = st.tuples(st.integers(3, 9), st.integers(3, 9), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


def reference(inputs, kernel, strides, padding, groups=1):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        inputs, kernel, strides, padding.upper(), dimension_numbers=dimensions, feature_group_count=groups
    )


def check_equal(way, oracle, inputs, kernel, strides, padding):
    outputs, back = jax.vjp(lambda x, w: way(x, w, strides, padding), inputs, kernel)
    expected, expected_back = jax.vjp(lambda x, w: oracle(x, w, strides, padding), inputs, kernel)
    assert outputs.shape == expected.shape
    # float32 sums of at most 81 * 27 products of order one.
    for actual, wanted in zip((outputs, *back(outputs)), (expected, *expected_back(outputs)), strict=True):
        np.testing.assert_allclose(actual, wanted, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("name", FORMULATIONS)
@settings(max_examples=10, deadline=None)
@given(SHAPES, st.integers(1, 3), st.integers(1, 3), st.sampled_from(["same", "valid"]), st.integers(0, 99))
def test_formulations_are_the_convolution(name, shape, reach, stride, padding, seed):
    height, width, channels, filters, count = shape
    rng = np.random.default_rng(seed)
    inputs = jnp.asarray(rng.standard_normal((count, height, width, channels)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((reach, reach, channels, filters)), jnp.float32)
    check_equal(FORMULATIONS[name], reference, inputs, kernel, (stride, stride), padding)


@pytest.mark.parametrize("stride, padding", [(1, "same"), (2, "same"), (2, "valid")])
def test_depthwise_is_the_convolution_in_groups(stride, padding):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.standard_normal((2, 7, 6, 5)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 5, 1)), jnp.float32)

    def oracle(x, w, strides, padding):
        return reference(x, w.reshape(3, 3, 1, 5), strides, padding, groups=5)

    check_equal(convolutions.depthwise, oracle, inputs, kernel, (stride, stride), padding)


@pytest.mark.parametrize("arch", ["mobilenetv2", "resnet18"])
def test_a_network_answers_the_same_in_every_way(arch):
    images = np.random.default_rng(1).standard_normal((2, 16, 16, 3)).astype(np.float32)
    plain = models.build(arch, (16, 16, 3), 4, seed=2)
    expected = np.asarray(plain(images, training=False))
    for name in FORMULATIONS:
        model = models.build(arch, (16, 16, 3), 4, seed=2)
        chosen = formulate(model, lambda _, name=name: name)
        wide = [x for x in model.layers if type(x) is keras.layers.Conv2D and x.kernel_size != (1, 1)]
        assert chosen == {layer.name: name for layer in wide} and wide
        # The rounding of some fifty layers, relative to logits of order one.
        np.testing.assert_allclose(model(images, training=False), expected, atol=1e-3)


def test_layers_beyond_the_formulations_keep_keras_way():
    inputs = keras.Input((9, 9, 4))
    x = keras.layers.Conv2D(4, 3, dilation_rate=2)(inputs)
    x = keras.layers.Conv2D(4, 3, groups=2)(x)
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3, activation="relu")(x))
    images = np.random.default_rng(1).standard_normal((2, 9, 9, 4)).astype(np.float32)
    before = np.asarray(model(images))
    assert list(formulate(model, lambda _: "shifted")) == [model.layers[-1].name]
    np.testing.assert_allclose(model(images), before, atol=1e-5)


def test_each_shape_is_measured_once_and_the_fastest_taken(monkeypatch, nothing_measured):
    model = models.build("cnn4-2-max", (8, 8, 1), 4, seed=0)
    measured = []

    def seconds(self, way, layer):
        measured.append((way.__name__, layer.input.shape[1:], layer.kernel.shape))
        return {"grouped": 3.0, "patches": 1.0 if layer.input.shape[1] > 4 else 5.0, "shifted": 2.0}[way.__name__]

    monkeypatch.setattr(Fastest, "_seconds", seconds)
    choose = Fastest(models=2, gradients=1, batch=8, dtype="float32")
    chosen = formulate(model, choose)
    sides = {layer.name: layer.input.shape[1] for layer in model.layers if layer.name in chosen}
    assert chosen == {name: "patches" if side > 4 else "shifted" for name, side in sides.items()}
    formulate(models.build("cnn4-2-max", (8, 8, 1), 4, seed=0), choose)
    assert len(measured) == len(set(measured)) > len(FORMULATIONS)
    formulate(models.build("cnn4-2-max", (8, 8, 1), 4, seed=0), Fastest(2, 1, 8, "float32"))  # of another process
    assert len(measured) == len(set(measured))
    formulate(models.build("cnn4-2-max", (8, 8, 1), 4, seed=0), Fastest(4, 1, 8, "float32"))
    assert len(measured) == 2 * len(set(measured))


def test_a_measurement_is_a_time(nothing_measured):
    (layer, *_) = [x for x in models.build("cnn4-1-max", (8, 8, 1), 4, seed=0).layers if hasattr(x, "kernel")]
    seconds = Fastest(models=2, gradients=3, batch=4, dtype="bfloat16").measure(layer)
    assert set(seconds) == set(FORMULATIONS) and all(0 < s < 10 for s in seconds.values())


NO_ROOM, BROKEN = "RESOURCE_EXHAUSTED: out of memory", "INTERNAL: no algorithm for that"


@pytest.mark.parametrize(
    "errors, taken",
    [
        ({"grouped": NO_ROOM, "patches": BROKEN}, "shifted"),
        ({"grouped": NO_ROOM, "patches": BROKEN, "shifted": NO_ROOM}, None),
        (dict.fromkeys(FORMULATIONS, NO_ROOM), "grouped"),  # a smaller group may fit
    ],
)
def test_what_cannot_be_computed_is_not_taken(monkeypatch, nothing_measured, errors, taken):
    (layer, *_) = [x for x in models.build("cnn4-1-max", (8, 8, 1), 4, seed=0).layers if hasattr(x, "kernel")]

    def seconds(self, way, layer):
        if way.__name__ in errors:
            raise jax.errors.JaxRuntimeError(errors[way.__name__])
        return 1.0

    monkeypatch.setattr(Fastest, "_seconds", seconds)
    choose = Fastest(models=2, gradients=1, batch=4, dtype="float32")
    if taken:
        assert choose(layer) == taken
    else:
        with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
            choose(layer)
    assert not nothing_measured.exists()  # another process may have the memory


@pytest.mark.parametrize("height, width", [(4, 6), (7, 5), (2, 2)])
def test_pooling_is_keras_pooling_also_where_pixels_tie(height, width):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 3, (4, height, width, 3)), jnp.float32)  # few values, many ties
    pool = keras.layers.MaxPooling2D(2)
    pooled, back = jax.vjp(convolutions.max_pool_by_two, images)
    expected, expected_back = jax.vjp(pool, images)
    np.testing.assert_array_equal(pooled, expected)
    weights = jnp.asarray(rng.standard_normal(pooled.shape), jnp.float32)
    np.testing.assert_array_equal(back(weights)[0], expected_back(weights)[0])
