"""DP-SGD of a user's Keras model, with either backend: the steps of a slow oracle, the noise, and what is refused."""

import keras
import numpy as np
import pytest

from mia_tf.keras_config import KerasConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.training import schedules
from mia_tf.training.keras_trainer import KerasTrainer, inspect
from mia_tf.validation import InputError

ON_JAX = keras.backend.backend() == "jax"
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 6)).astype(np.float32), RNG.integers(0, 3, 60)
ROWS = np.arange(1, 51)


def private_model(loss="sparse_categorical_crossentropy"):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(3, "softmax")])
    if loss is not None:
        model.compile(keras.optimizers.SGD(0.5, momentum=0.9), loss)
    return model


def gradients_of(model, x, label):
    """The gradients of one example's loss, one array per variable."""
    values = [v.value for v in model.trainable_variables]
    if ON_JAX:
        import jax

        def loss(values):
            outputs, _ = model.stateless_call(values, [v.value for v in model.non_trainable_variables], x)
            return -keras.ops.log(outputs[0, label])

        return [np.asarray(g) for g in jax.grad(loss)(values)]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = -tf.math.log(model(x)[0, label])
    return [g.numpy() for g in tape.gradient(loss, values)]


def test_private_steps_are_those_of_a_slow_oracle():
    """Without noise: each example's gradient clipped on its own, summed, over the expected batch."""
    clip, config = 0.3, KerasConfig(2, 16, dp=PrivacyConfig(0, l2_norm_clip=0.3, sampling="shuffle", microbatch=8))
    answers = KerasTrainer(private_model, X, Y, config)(ROWS, 3)
    keras.utils.set_random_seed(3)
    model, promise = private_model(), config.guarantee(len(ROWS))
    orders = schedules.example_order(ROWS, 16, 2, promise.steps, np.random.default_rng([3, schedules.ORDER]))
    for batch in np.concatenate(list(orders)):
        total = [np.zeros(v.shape, np.float32) for v in model.trainable_variables]
        for row in batch:
            gradients = gradients_of(model, X[row : row + 1], Y[row])
            norm = np.sqrt(sum((g**2).sum() for g in gradients))
            total = [t + g * min(1, clip / norm) for t, g in zip(total, gradients, strict=True)]
        model.optimizer.apply([keras.ops.convert_to_tensor(t / 16) for t in total], model.trainable_variables)
    assert promise.steps == 6
    expected = np.log(model.predict(X, verbose=0))
    logits = answers[:, 0] - np.log(np.exp(answers[:, 0]).sum(axis=1, keepdims=True))
    # Six steps in float32, whose sums over a batch are in another order.
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_noise_follows_from_the_seed():
    config = KerasConfig(1, 16, dp=PrivacyConfig(2.0))
    trainer = KerasTrainer(private_model, X, Y, config)
    first = trainer(ROWS, 3, num_members=48)
    np.testing.assert_array_equal(trainer(ROWS, 3, num_members=48), first)
    without = KerasTrainer(private_model, X, Y, KerasConfig(1, 16, dp=PrivacyConfig(0)))(ROWS, 3, num_members=48)
    assert np.abs(first - without).max() > 0.05


def test_another_guarantee_is_not_kept_by_the_steps_of_the_one_before():
    """The noise once stayed that of the first call, whatever the size of the training set."""
    config = KerasConfig(1, 16, dp=PrivacyConfig(target_epsilon=5.0, delta=1e-3))
    trainer = KerasTrainer(private_model, X, Y, config)
    trainer(ROWS[:32], 3)
    assert config.guarantee(32).noise_multiplier != config.guarantee(50).noise_multiplier
    alone = KerasTrainer(private_model, X, Y, config)(ROWS, 3)
    np.testing.assert_array_equal(trainer(ROWS, 3), alone)


def test_a_model_without_compile_follows_the_promised_steps_and_limits_no_noised_gradient(monkeypatch):
    """With 13 rows the schedule was one of 2 steps, and its rate negative after them; 6 steps are promised."""
    config = KerasConfig(2, 16, dp=PrivacyConfig(1.0, delta=1e-3))
    trainer, built = KerasTrainer(lambda: private_model(loss=None), X, Y, config), []
    fresh = trainer.fresh
    monkeypatch.setattr(trainer, "fresh", lambda *arguments: built.append(fresh(*arguments)) or built[-1])
    trainer.prepared(0, 13, config.guarantee(48))
    (model,) = built
    assert float(model.optimizer.total_steps) == config.guarantee(48).steps == 6
    assert model.optimizer.global_clipnorm is None


def weights_after(noise, seed, x, epochs=1):
    """(D,) the weights of a linear model after private training with a rate of 1."""

    def linear():
        model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1.0), loss)
        return model

    privacy = PrivacyConfig(noise, l2_norm_clip=0.3, sampling="shuffle", microbatch=8)
    trainer = KerasTrainer(linear, x, Y, KerasConfig(epochs, 16, dp=privacy))
    trainer(ROWS, seed)
    weights = trainer._steps.state[0] if ON_JAX else trainer._steps._model.trainable_variables
    return np.concatenate([np.ravel(w) for w in weights])


def test_noise_has_the_promised_deviation_and_is_each_model_s_and_step_s_own():
    wide = RNG.normal(size=(60, 600)).astype(np.float32)
    noises = [weights_after(50.0, seed, wide) - weights_after(0.0, seed, wide) for seed in (3, 4)]
    count = len(noises[0])
    # Three steps of independent noise; the gradients beside it move all weights together by at most 2 * 3 * 0.3.
    deviation = np.sqrt(3) * 50.0 * 0.3 / 16
    for noise in noises:
        # A sample deviation's standard error is sigma / sqrt(2 n), a mean's sigma / sqrt(n); four of each.
        assert abs(noise.std() / deviation - 1) < 4 / np.sqrt(2 * count)
        assert abs(noise.mean()) < 4 * deviation / np.sqrt(count)
    assert abs(np.corrcoef(*noises)[0, 1]) < 4 / np.sqrt(count)


def test_labels_in_a_column_or_as_one_hot_rows_train_the_same_model():
    """Labels (N, 1) once trained every example as class 0."""
    config = KerasConfig(2, 16, dp=PrivacyConfig(0, sampling="shuffle"))
    expected = KerasTrainer(private_model, X, Y, config)(ROWS, 3)
    np.testing.assert_array_equal(KerasTrainer(private_model, X, Y[:, None], config)(ROWS, 3), expected)
    one_hot = KerasTrainer(lambda: private_model("categorical_crossentropy"), X, np.eye(3)[Y], config)
    np.testing.assert_array_equal(one_hot(ROWS, 3), expected)


# ---- what cannot be trained


class Counting(keras.layers.Layer):
    """Keeps the mean of what it sees."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(), trainable=False, name="mean")

    def call(self, x):
        self.mean.assign(keras.ops.mean(x))
        return x


class Centring(keras.layers.Layer):
    """Subtracts the mean of the batch."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=0)


class FromTheFirst(keras.layers.Layer):
    """Subtracts the first example of the batch."""

    def call(self, x):
        return x - x[:1]


class AddingLoss(keras.layers.Layer):
    """Adds a loss of its own."""

    def call(self, x):
        self.add_loss(keras.ops.mean(x**2))
        return x


def nested(layer):
    return keras.Sequential([keras.Input((6,)), layer])


def build(between=(), loss="sparse_categorical_crossentropy", optimizer="sgd", last=(3, "softmax")):
    model = keras.Sequential([keras.Input((6,)), *between, keras.layers.Dense(*last)])
    model.compile(optimizer, loss)
    return model


def check_trainable(**changes):
    inspect(lambda: build(**changes), X, Y, Y, KerasConfig(1, 16, dp=PrivacyConfig(1.0)), None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"between": [keras.layers.BatchNormalization(name="mixing")]}, "mixing"),
        ({"between": [keras.layers.Dense(4, kernel_regularizer="l2", name="heavy")]}, "heavy"),
        ({"between": [keras.layers.Dense(4, activity_regularizer="l2", name="heavy")]}, "heavy"),
        ({"between": [nested(keras.layers.BatchNormalization(center=False, scale=False, name="mixing"))]}, "mixing"),
        ({"between": [Centring()]}, "depends on the others of the batch"),
        ({"between": [nested(Centring()), keras.layers.Dropout(0.5)]}, "depends on the others of the batch"),
        ({"between": [FromTheFirst()]}, "depends on the others of the batch"),
        ({"between": [nested(Counting(name="counting"))]}, r"layer counting \(Counting\): its mean follows from"),
        ({"between": [AddingLoss()]}, "losses that its layers add"),
        ({"loss": "mse"}, "cross-entropy"),
        ({"loss": keras.losses.BinaryCrossentropy(from_logits=True), "last": (3,)}, "one output"),
        ({"loss": "categorical_crossentropy", "last": (1, "sigmoid")}, "one output"),
        ({"last": (3,)}, "must have a loss with from_logits=True"),
        (
            {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
            "must have a loss with from_logits=False",
        ),
        ({"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)}, "label_smoothing"),
        ({"optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())}, "scale its loss"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(changes, words):
    with pytest.raises(InputError, match=words):
        check_trainable(**changes)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
@pytest.mark.skipif(ON_JAX, reason="JAX has the per-example gradients of any layer")
def test_on_tensorflow_other_precisions_are_refused(dtype):
    """Training once failed instead, for every model."""
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    with pytest.raises(InputError, match=rf"layer odd \(Dense\): it computes in {dtype}"):
        check_trainable(between=[keras.layers.Dense(4, dtype=policy, name="odd")])


def test_an_embedding_is_trained_on_jax_and_refused_on_tensorflow():
    """On TensorFlow it was accepted, and training failed for every model."""
    tokens = RNG.integers(0, 9, (60, 6)).astype(np.int32)

    def build():
        layers = keras.layers.Embedding(9, 4, name="words"), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")
        model = keras.Sequential([keras.Input((6,), dtype="int32"), *layers])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    config = KerasConfig(1, 16, dp=PrivacyConfig(1.0))
    if not ON_JAX:
        with pytest.raises(InputError, match=r"layer words \(Embedding\): .* KERAS_BACKEND=jax"):
            inspect(build, tokens, Y, Y, config, None)
        return
    inspect(build, tokens, Y, Y, config, None)
    assert KerasTrainer(build, tokens, Y, config)(ROWS, 3).shape == (60, 1, 3)


@pytest.mark.skipif(not ON_JAX, reason="on TensorFlow layers need a rule for their per-example gradients")
def test_on_jax_any_layer_will_do_that_keeps_nothing_of_the_examples():
    def with_weights():
        return build(between=[keras.layers.PReLU(), keras.layers.LayerNormalization(), keras.layers.Dropout(0.5)])

    inspect(with_weights, X, Y, Y, KerasConfig(1, 16, dp=PrivacyConfig(1.0)), None)
    frozen = keras.layers.BatchNormalization(trainable=False)
    check_trainable(between=[frozen])


def test_layers_without_weights_may_be_random_and_differ_in_training():
    check_trainable(between=[keras.layers.Dropout(0.5), keras.layers.GaussianNoise(0.1), nested(keras.layers.ReLU())])


@pytest.mark.skipif(not ON_JAX, reason="TensorFlow draws for a whole microbatch")
def test_each_example_has_a_dropout_of_its_own_whatever_the_microbatch():
    from mia_tf.training.keras_private_jax import JaxPrivateSteps

    def dropping():
        return build(between=[keras.layers.Dropout(0.5)])

    answers = []
    for size in (8, 24):
        privacy = PrivacyConfig(0, l2_norm_clip=100.0, sampling="shuffle", microbatch=size)
        trainer = KerasTrainer(dropping, X, Y, KerasConfig(2, 16, dp=privacy))
        answers.append(trainer(ROWS, 3))
    np.testing.assert_allclose(*answers, atol=1e-5)
    steps = trainer._steps
    assert isinstance(steps, JaxPrivateSteps)
    (seeds,) = [v for v, is_seed in zip(steps.state[1], steps._is_seed, strict=True) if is_seed]
    places = [tuple(np.asarray(steps._seeded([seeds], place)[0])) for place in range(16)]
    assert len(set(places)) == 16 and seeds[1] > 0  # and of each step its own
