"""Per-example norms and clipped sums against one gradient of TensorFlow for each example."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from refusals import refuses

from mia_tf import models
from mia_tf.training import norm_rules
from mia_tf.training.clipping import ClippedGradients

BATCH = 5


def slow_gradients(model, images, labels):
    """(B, D) float64: one backward pass for each example.

    The forward pass is one: another batch size rounds otherwise, and where that moves an input of a ReLU across
    zero the two gradients really differ.
    """
    with tf.GradientTape(persistent=True) as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=True))
        losses = tf.unstack(losses)
    variables = [v.value for v in model.trainable_variables]
    rows = [np.concatenate([np.ravel(g) for g in tape.gradient(loss, variables)]) for loss in losses]
    return np.array(rows, np.float64)


def check_against_slow(model, seed=0, clip_quantile=0.5, tolerance=1e-5):
    """Norms to 1e-5 relative, as the clip must hold, and the clipped sum to the same."""
    dtype = model.compute_dtype
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:  # biases and offsets begin at zero, which would hide a slip
        variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    images = rng.normal(size=(BATCH, *model.input.shape[1:])).astype(dtype)
    labels = rng.integers(0, model.output.shape[-1], BATCH)
    gradients = slow_gradients(model, images, labels)
    expected = np.linalg.norm(gradients, axis=1)
    clip = float(np.quantile(expected, clip_quantile))
    clipped = ClippedGradients(model, clip)
    mask = np.ones(BATCH, dtype)
    mask[1] = 0
    loss, total, norms = tf.function(clipped.sum)(images, labels, mask)
    np.testing.assert_allclose(norms[mask > 0], expected[mask > 0], rtol=tolerance)
    weights = mask * np.minimum(1, clip / expected)
    sums = weights @ gradients
    assert np.linalg.norm(total - sums) <= tolerance * np.linalg.norm(sums)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=True))
    np.testing.assert_allclose(loss, mask @ losses.numpy(), rtol=tolerance)


@pytest.mark.parametrize("arch, norm", [("cnn4-3-max", "batch"), ("cnn4-2-mean", "batch"), ("wrn28-1", "group")])
def test_networks_in_single_precision(arch, norm):
    # In a deep network rounding can move an input of one of the many ReLUs across zero, where the gradient itself
    # jumps: it does for the weights of seed 0, by 1.7e-3, and for none of seeds 1 to 5.
    check_against_slow(models.build(arch, (28, 28, 1), 10, seed=1, norm=norm))


LARGE = ("wrn28-2", "resnet18", "resnet34", "resnet50", "densenet121", "vgg16")


@pytest.mark.parametrize(
    "arch",
    ["cnn4-3-max", "wrn28-1", "resnet9", "mobilenetv2", *(pytest.param(a, marks=pytest.mark.slow) for a in LARGE)],
)
def test_every_architecture_in_double_precision(arch):
    """Where no rounding moves an input of a deep network's many ReLUs across zero, all agree to 1e-9."""
    keras.config.set_floatx("float64")  # of inputs
    keras.config.set_dtype_policy("float64")  # of layers
    try:
        model = models.build(arch, (32, 32, 3), 10, seed=0, norm="batch" if arch.startswith("cnn") else "group")
        check_against_slow(model, tolerance=1e-9)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def single_layer(layer, shape):
    """A network whose first weights are the layer's, and which leaves no gradient out."""
    inputs = keras.Input(shape)
    x = layers.Flatten()(layers.Activation("tanh")(layer(inputs)))
    return keras.Model(inputs, layers.Dense(4)(x))


CONVOLUTIONS = st.fixed_dictionaries(
    {
        "filters": st.sampled_from([1, 3, 64]),  # with 64, small maps take the Gram matrices
        "kernel_size": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "padding": st.sampled_from(["same", "valid"]),
        "use_bias": st.booleans(),
        "activation": st.sampled_from([None, "relu"]),
    }
)
STEPS = st.sampled_from(  # Keras has either strides or dilation
    [{}, {"strides": 2}, {"strides": (1, 3)}, {"strides": (2, 1)}, {"dilation_rate": 2}, {"dilation_rate": (1, 2)}]
)


@settings(max_examples=25, deadline=None)
@given(CONVOLUTIONS, STEPS, st.integers(7, 9), st.integers(7, 9), st.sampled_from([1, 2, 64]))
def test_any_convolution(settings_of, steps, height, width, channels):
    layer = layers.Conv2D(**settings_of, **steps)
    check_against_slow(single_layer(layer, (height, width, channels)))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides, multiplier, bias", [(1, 1, True), (2, 1, False), (1, 3, True), (2, 2, True)])
def test_depthwise_convolutions(padding, strides, multiplier, bias):
    layer = layers.DepthwiseConv2D(3, strides, padding, multiplier, use_bias=bias)
    check_against_slow(single_layer(layer, (8, 7, 4)))


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"epsilon": 0.1}])
def test_group_normalisation(options):
    check_against_slow(single_layer(layers.GroupNormalization(3, **options), (5, 4, 6)))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (4, 7), (3, 4, 7)])
def test_dense(shape, bias):
    check_against_slow(single_layer(layers.Dense(6, activation="tanh", use_bias=bias), shape))


def test_both_ways_to_the_norms_are_taken():
    """The cases above reach the Gram matrices as well as the gradients themselves."""

    def way(filters, side):
        layer = layers.Conv2D(filters, 3, padding="same")
        inputs = keras.Input((side, side, filters))
        layer(inputs)
        norms = norm_rules._ConvolutionNorms(layer, tf.zeros((1, side, side, filters)))
        return "gradients" if hasattr(norms, "weighted_sum") else "gram"

    assert [way(8, 28), way(64, 14), way(128, 7), way(64, 4)] == ["gradients", "gradients", "gram", "gram"]


def test_no_example_counts_for_more_than_the_clip():
    """With one example in the batch the sum is that example's gradient: never longer than the clip."""
    model = models.build("cnn4-2-max", (8, 8, 1), 4, seed=0)
    rng = np.random.default_rng(0)
    for clip in (1e-3, 0.1, 10.0):
        total = tf.function(ClippedGradients(model, clip).sum)
        for scale in (0.1, 1.0, 100.0):
            images = (scale * rng.normal(size=(1, 8, 8, 1))).astype(np.float32)
            _, sums, norms = total(images, np.array([1]), np.ones(1, np.float32))
            # Scaling by clip / norm rounds a few times, each by 6e-8 of the value.
            assert np.linalg.norm(sums) <= clip * (1 + 1e-6)
            np.testing.assert_allclose(np.linalg.norm(sums), min(clip, norms[0]), rtol=1e-5)


def test_a_batch_is_filled_up_with_an_example_that_the_model_is_defined_for():
    """With zeros, whose norm a model may divide by, the sum was NaN. An empty batch is a sum of nothing."""
    inputs = keras.Input((4,))
    unit = keras.ops.divide(inputs, keras.ops.norm(inputs, axis=1, keepdims=True))
    clipped = ClippedGradients(keras.Model(inputs, layers.Dense(3)(unit)), 1.0)
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(5, 4)).astype(np.float32), rng.integers(0, 3, 5)

    @tf.function(input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([None], tf.int64)])
    def of_batch(inputs, labels):
        return clipped.of_batch(inputs, labels, 8)

    loss, total = of_batch(rows, labels)
    expected_loss, expected, _ = clipped.sum(tf.constant(rows), tf.constant(labels), tf.ones(5))
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    np.testing.assert_allclose(total, expected, atol=1e-6)
    loss, total = of_batch(rows[:0], labels[:0])
    assert loss == 0 and not np.any(total)


@pytest.mark.parametrize(
    "make, advice",
    [
        (lambda: layers.BatchNormalization(name="bn"), "GroupNormalization"),
        (lambda: layers.LayerNormalization(name="ln"), "no rule"),
        (lambda: layers.Conv2D(4, 3, groups=2, name="grouped"), "one group"),
        (lambda: layers.Conv2D(4, 3, data_format="channels_first", name="first"), "channels last"),
        (
            lambda: layers.DepthwiseConv2D(3, data_format="channels_first", name="first"),
            "channels last",
        ),
        (lambda: layers.GroupNormalization(2, axis=1, name="rows"), "last axis"),
    ],
)
def test_other_layers_are_refused_by_name(make, advice):
    layer = make()
    model = single_layer(layer, (6, 6, 4))
    with refuses("build", layer.name, advice):
        ClippedGradients(model, 1.0)
    with refuses("build", layer.name, advice):
        norm_rules.check_supported(model)


def test_a_layer_that_trains_other_than_its_own_weights_is_refused():
    """With a LoRA's matrices the norms were of the gradients of the frozen kernel: 1.38 for 1.51, and no error."""
    inputs = keras.Input((5,))
    adapted, frozen = layers.Dense(4, name="adapted"), layers.Dense(4, name="frozen")
    model = keras.Model(inputs, adapted(frozen(inputs)))
    norm_rules.check_supported(model)
    adapted.enable_lora(2)
    with refuses("build", "adapted", "all of its own weights"):
        ClippedGradients(model, 1.0)
    model = keras.Model(inputs, frozen(inputs))
    frozen.bias.trainable = False
    with refuses("build", "frozen", "all of its own weights"):
        ClippedGradients(model, 1.0)


def test_a_layer_used_twice_is_refused():
    # Its per-example gradient is a sum over both uses, whose norm is not that of the parts.
    layer, inputs = layers.Dense(4, name="again"), keras.Input((4,))
    with refuses("build", "again", "more than once"):
        ClippedGradients(keras.Model(inputs, layer(layer(inputs))), 1.0)
