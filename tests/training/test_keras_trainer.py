"""A user's Keras model is trained as `fit` would train it, and by LiRA's recipe."""

import dataclasses

import keras
import numpy as np
import pytest

from mia_tf.config import TrainingConfig
from mia_tf.keras_config import KerasConfig
from mia_tf.training import schedules
from mia_tf.training.keras_outputs import outputs_of
from mia_tf.training.keras_trainer import KerasTrainer
from mia_tf.validation import InputError

ON_JAX = keras.backend.backend() == "jax"
only_tensorflow = pytest.mark.skipif(ON_JAX, reason="the reference engine needs TensorFlow")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 6)).astype(np.float32), RNG.integers(0, 3, 60)
ROWS = np.arange(1, 51)  # with batches of 16 the last one is smaller


def build():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.9)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def trainer():
    return KerasTrainer(build, X, Y, KerasConfig(epochs=3, batch_size=16))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_it_trains_as_fit_does(trainer):
    """The same batches in the same order, with dropout, batch statistics, a schedule and a smaller last batch."""
    keras.utils.set_random_seed(5)
    model, orders = build(), np.random.default_rng([5, schedules.ORDER])
    for _ in range(3):
        order = orders.permutation(ROWS)
        model.fit(X[order], Y[order], batch_size=16, epochs=1, shuffle=False, verbose=0)
    answers = trainer(ROWS, 5)
    assert answers.shape == (60, 1, 3) and answers.dtype == np.float32
    # float32 sums in another order, through 12 steps of Adam
    np.testing.assert_allclose(softmax(answers[:, 0]), model.predict(X, verbose=0), atol=1e-4)


def averaged():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9), "sparse_categorical_crossentropy")
    return model


def test_an_optimizer_with_use_ema_ends_with_the_average_of_the_weights():
    """As `fit` does at its end; the answers were once those of the last step."""
    answers = KerasTrainer(averaged, X, Y, KerasConfig(epochs=2, batch_size=16))(ROWS, 3)
    keras.utils.set_random_seed(3)
    model, rng = averaged(), np.random.default_rng([3, schedules.ORDER])
    orders = [rng.permutation(ROWS) for _ in range(2)]
    for rows in (order[start : start + 16] for order in orders for start in range(0, len(ROWS), 16)):
        model.train_on_batch(X[rows], Y[rows])
    last = model.predict(X, verbose=0)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    np.testing.assert_allclose(softmax(answers[:, 0]), model.predict(X, verbose=0), atol=1e-5)
    assert np.abs(softmax(answers[:, 0]) - last).max() > 0.01


@pytest.mark.skipif(not ON_JAX, reason="TensorFlow compiles a step for batches of every size")
def test_the_smaller_batch_at_the_end_is_filled_up_only_if_that_changes_nothing(trainer):
    """Each model's last batch has a size of its own: on JAX each was once compiled for itself, a second or more."""
    trainer(ROWS, 5)
    assert not trainer._steps.may_fill_up(ROWS[:16])  # batch normalization

    def without():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dropout(0.3), keras.layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    filled = KerasTrainer(without, X, Y, KerasConfig(epochs=2, batch_size=16))
    answers = filled(ROWS, 5)
    assert filled._steps.may_fill_up(ROWS[:16])
    keras.utils.set_random_seed(5)
    model, orders = without(), np.random.default_rng([5, schedules.ORDER])
    for _ in range(2):
        order = orders.permutation(ROWS)
        model.fit(X[order], Y[order], batch_size=16, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_allclose(softmax(answers[:, 0]), model.predict(X, verbose=0), atol=1e-6)  # the same dropout, too


def test_a_model_follows_from_its_seed_and_rows_alone(trainer):
    first = trainer(ROWS, 5)
    others = trainer(ROWS, 6), trainer(ROWS[:40], 5)
    np.testing.assert_array_equal(trainer(ROWS, 5), first)
    assert all(np.abs(other - first).max() > 0.01 for other in others)


def test_a_loss_that_is_not_finite_ends_the_training():
    def diverging():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1e38), loss)
        return model

    with pytest.raises(FloatingPointError, match="not finite in epoch 1 of 9"):
        KerasTrainer(diverging, X, Y, KerasConfig(epochs=9, batch_size=16))(ROWS, 0)


def test_a_train_step_of_the_users_own_and_inputs_by_name():
    class Doubling(keras.Model):
        """Its own step trains on twice the loss."""

        def compute_loss(self, *arguments, **named):
            return 2 * super().compute_loss(*arguments, **named)

    def two_inputs():
        words, numbers = keras.Input((4,), dtype="int32", name="words"), keras.Input((6,), name="numbers")
        embedded = keras.layers.Embedding(9, 5)(words)
        joined = keras.layers.Concatenate()([keras.layers.Flatten()(embedded), numbers])
        model = Doubling({"words": words, "numbers": numbers}, keras.layers.Dense(1, "sigmoid")(joined))
        model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
        return model

    x = {"words": RNG.integers(0, 9, (60, 4)), "numbers": X}
    answers = KerasTrainer(two_inputs, x, Y // 2, KerasConfig(epochs=1, batch_size=16))(ROWS, 1)
    keras.utils.set_random_seed(1)
    model, order = two_inputs(), np.random.default_rng([1, schedules.ORDER]).permutation(ROWS)
    model.fit({name: a[order] for name, a in x.items()}, Y[order] // 2, batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_allclose(1 / (1 + np.exp(-answers[:, 0])), model.predict(x, verbose=0), atol=1e-5)


def test_views_are_augmented_and_asked():
    pictures = RNG.integers(0, 256, (20, 9, 9, 1)).astype(np.uint8)

    def of_pictures():
        layers = [
            keras.Input((9, 9, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
        return keras.Sequential(layers)  # not compiled

    config = KerasConfig(epochs=1, batch_size=8, augment="weak", queries=3)
    plain = KerasTrainer(of_pictures, pictures, Y[:20], dataclasses.replace(config, augment="mirror"))(np.arange(16), 0)
    answers = KerasTrainer(of_pictures, pictures, Y[:20], config)(np.arange(16), 0)
    assert answers.shape == (20, 3, 3)
    assert np.abs(answers[:, 0] - answers[:, 1]).max() > 0.01 and np.abs(plain - answers).max() > 1e-4
    # Models that were trained on the pictures as they are can be asked in several views too.
    pictures[0] = pictures[0, :, ::-1] // 2 + pictures[0] // 2  # its own mirror image
    unmoved = dataclasses.replace(config, augment="none", queries=2)
    answers = KerasTrainer(of_pictures, pictures, Y[:20], unmoved)(np.arange(16), 0)
    np.testing.assert_allclose(answers[0, 0], answers[0, 1], rtol=1e-5)
    assert np.abs(answers[1:, 0] - answers[1:, 1]).max() > 0.01


@only_tensorflow
def test_without_compile_it_is_liras_recipe():
    """The same steps as the reference engine takes."""
    from mia_tf import models
    from mia_tf.records import Dataset
    from mia_tf.training.single import SingleEngine
    from mia_tf.training.views import to_input

    pictures, nothing = RNG.integers(0, 256, (48, 8, 8, 1)).astype(np.uint8), np.zeros(0, np.uint8)
    dataset = Dataset(
        "toy", pictures, Y[:48].astype(np.int64), np.zeros(48, np.uint8), np.arange(48).astype(str),
        pictures[:0], nothing.astype(np.int64), nothing, 3,
    )  # fmt: skip
    recipe = TrainingConfig(arch="cnn4-1-mean", batch=12, epochs=4, augment="none", queries=1)
    (record,) = SingleEngine(dataset, recipe).train(np.ones((1, 48), bool), np.array([7]))
    ours = KerasTrainer(
        lambda: models.build("cnn4-1-mean", (8, 8, 1), 3, seed=7),
        np.asarray(to_input(pictures)), Y[:48], KerasConfig(epochs=4, batch_size=12),
    )  # fmt: skip
    np.testing.assert_allclose(ours(np.arange(48), 7), record.logits[:, 0], atol=2e-4)


# ---- what a model returns


def subclassed(units, from_logits):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    if from_logits is not None:
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits))
    model(X[:2])
    return model


def ending_in(*last):
    return keras.Sequential([keras.Input((6,)), *last])


def regression(loss):
    """Its output meets 0 and 1, and was once taken for a logit."""
    model = ending_in(keras.layers.Dense(1))
    model.compile("adam", loss)
    return model


def sharing(units=3, nested=False):
    """A network that has its last activation in its middle too."""
    activation, inputs = keras.layers.Activation("softmax" if units > 1 else "sigmoid"), keras.Input((6,))
    last = keras.Sequential([keras.Input((units,)), activation]) if nested else activation
    return keras.Model(inputs, last(keras.layers.Dense(units)(activation(keras.layers.Dense(4)(inputs)))))


def added_one_by_one():
    model = keras.Sequential()
    for layer in (keras.Input((6,)), keras.layers.Dense(4), keras.layers.Dense(3, "softmax")):
        model.add(layer)
    model.build((None, 6))
    return model


@pytest.mark.parametrize(
    ("model", "units", "kind", "left_out"),
    [
        (lambda: ending_in(keras.layers.Dense(3)), 3, "logits", False),
        (lambda: ending_in(keras.layers.Dense(3, "softmax")), 3, "logits", True),
        (lambda: ending_in(keras.layers.Dense(3), keras.layers.Activation("softmax")), 3, "logits", True),
        (lambda: ending_in(keras.layers.Dense(3), keras.layers.Softmax()), 3, "probabilities", False),
        (lambda: ending_in(keras.layers.Dense(1, "sigmoid")), 1, "sigmoid", True),
        (lambda: ending_in(keras.layers.Dense(1)), 1, "sigmoid", False),
        (lambda: ending_in(ending_in(keras.layers.Dense(3, "softmax"))), 3, "logits", True),
        (added_one_by_one, 3, "logits", True),
        (lambda: keras.models.clone_model(added_one_by_one()), 3, "logits", True),
        (lambda: sharing(), 3, "probabilities", False),
        (lambda: sharing(units=1), 1, "probabilities", False),
        (lambda: sharing(nested=True), 3, "probabilities", False),
        (lambda: subclassed(3, from_logits=True), 3, "logits", False),
        (lambda: subclassed(3, from_logits=False), 3, "probabilities", False),
    ],
)
def test_it_is_found_from_the_last_layer(model, units, kind, left_out):
    outputs = outputs_of(model(), units)
    assert (outputs.kind, outputs.layer is not None) == (kind, left_out) and outputs.note.endswith(".")


def test_a_model_that_shares_its_last_activation_answers_as_predict_does():
    """Left out at the end, the softmax was once left out in the middle too."""
    trainer = KerasTrainer(sharing, X, Y, KerasConfig(epochs=1, batch_size=16))
    model = trainer.fresh(seed=0)
    np.testing.assert_allclose(trainer.ask(model)[:, 0], model.predict(X, verbose=0), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "units", "kind", "argument"),
    [
        (lambda: ending_in(keras.layers.Dense(3, "relu")), 3, None, "build"),
        (lambda: ending_in(keras.layers.Dense(3, "sigmoid")), 3, None, "build"),
        (lambda: subclassed(3, from_logits=None), 3, None, "outputs"),
        (lambda: ending_in(keras.layers.Dense(3)), 3, "sigmoid", "outputs"),
        (lambda: regression("mse"), 1, None, "outputs"),
        (lambda: regression(keras.losses.Huber()), 1, None, "outputs"),
    ],
)
def test_what_cannot_be_known_is_refused(model, units, kind, argument):
    with pytest.raises(InputError, match=f"Argument `{argument}`"):
        outputs_of(model(), units, kind)
