"""What a KerasTask accepts, what tells it from others, and how it is trained by the command and the library."""

import functools
import json

import keras
import numpy as np
import pandas as pd
import pytest
from refusals import refuses

import mia_tf
from mia_tf.validation import InputError

ON_JAX = keras.backend.backend() == "jax"
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6)), np.arange(40) % 3


def build(last=(3, "softmax"), loss="sparse_categorical_crossentropy", between=()):
    model = keras.Sequential([keras.Input((6,)), *between, keras.layers.Dense(*last)])
    if loss:
        model.compile("adam", loss)
    return model


def test_it_is_a_task_with_the_models_own_settings():
    task = mia_tf.KerasTask(build, X, Y, epochs=2, batch_size=8, ids=np.arange(40) + 100)
    assert isinstance(task, mia_tf.Task) and task.name == "test_keras_task.build" and task.outputs == "logits"
    assert task.note.startswith("The model is asked for logits: the softmax of ")
    np.testing.assert_array_equal(task.x, X.astype(np.float32))
    assert task.statement(20) == task.note and task.hparams(20) == {}
    identity = task.identity()
    assert identity["epochs"] == 2 and identity["batch_size"] == 8
    assert task.answers(task.train_and_predict(np.arange(20), 3)).shape == (40, 1, 3)
    others = (
        mia_tf.KerasTask(build, X, Y, epochs=3, batch_size=8),
        mia_tf.KerasTask(build, X + 1e-3, Y, epochs=2, batch_size=8),
        mia_tf.KerasTask(build, X, Y, epochs=2, batch_size=8, dp=mia_tf.PrivacyConfig(1.0)),
    )
    for other, name in zip(others, ("epochs", "x_digest", "noise_multiplier"), strict=True):
        assert other.identity().get(name) != identity.get(name)


def sized(units, scale=1.0, layer=keras.layers.Dense):
    return build(between=[layer(int(units))])


def test_arguments_bound_to_build_tell_tasks_apart():
    """Models of 2 and of 64 units once went into one LOGDIR: the identity of both named no more than KerasTrainer."""

    def identity(*args, **kwargs):
        return mia_tf.KerasTask(functools.partial(sized, *args, **kwargs), X, Y).identity()

    two = identity(2)
    assert two["task"] == "test_keras_task.sized" and two["uses.argument 1"] == "2"
    plain = mia_tf.KerasTask(sized_of_three, X, Y).identity()
    assert two["task_digest"] == plain["task_digest"] and "uses.argument 1" not in plain  # of one file
    assert identity(64)["uses.argument 1"] == "64" and identity(np.int64(2)) == two
    assert identity(2, scale=0.5)["uses.scale"] == "0.5"
    # A function of this file, for which the file's digest stands; its own text holds an address.
    assert identity(2, layer=lambda units: keras.layers.Dense(units)) == two


def sized_of_three():
    return sized(3)


def test_classes_have_every_form_that_a_loss_takes():
    one_hot = mia_tf.KerasTask(lambda: build(loss="categorical_crossentropy"), X, np.eye(3)[Y], epochs=1)
    one_hot.train_and_predict(np.arange(20), 3)
    named = mia_tf.KerasTask(build, X, np.array(["a", "b", "c"])[Y], epochs=1)
    named.train_and_predict(np.arange(20), 3)
    assert named.classes == ("a", "b", "c")
    grades = pd.Categorical.from_codes(Y, ["low", "mid", "high"], ordered=True)
    ordered = mia_tf.KerasTask(build, X, grades, epochs=1)  # the program numbers them itself
    assert ordered.classes == ("low", "mid", "high") and ordered.labels.tolist() == Y.tolist()
    two = mia_tf.KerasTask(lambda: build((1, "sigmoid"), "binary_crossentropy"), X, Y == 1, epochs=1)
    assert two.outputs == "sigmoid" and two.train_and_predict(np.arange(20), 3).shape == (40, 1, 1)


def test_a_frame_of_columns_of_different_types_is_x():
    frame = pd.DataFrame(X).assign(count=np.arange(40), flag=pd.array(Y == 1, "boolean"))

    def build():
        return keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])

    x = mia_tf.KerasTask(build, frame, Y).x
    np.testing.assert_array_equal(x, np.column_stack([X, np.arange(40), Y == 1]).astype(np.float32))


def ending_in(last):
    """A model whose last layer follows a softmax and has no activation of that name."""
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax"), last])


def two_outputs():
    x = keras.Input((6,))
    return keras.Model(x, [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])


def raising():
    raise RuntimeError("no such\nlayer")


@pytest.mark.parametrize(
    ("changes", "argument", "words"),
    [
        ({"build": 3}, "build", "function"),
        ({"build": raising}, "build", "RuntimeError: no such"),
        ({"build": lambda: 3}, "build", "Keras model"),
        ({"build": lambda: build((4, "softmax"))}, "build", "3 outputs"),
        ({"build": lambda: build(between=[keras.layers.Reshape((3, 2))])}, "build", "shape"),
        ({"build": lambda: ending_in(keras.layers.Reshape((3,)))}, "build", "must be logits"),
        ({"build": lambda: ending_in(keras.layers.Dropout(0.1)), "outputs": "logits"}, "build", "must be logits"),
        ({"build": lambda: build((3,)), "outputs": "probabilities"}, "build", "must be probabilities"),
        ({"build": lambda: ending_in(keras.layers.ReLU())}, "build", "activation ReLU"),
        ({"build": two_outputs}, "build", "one output, of shape (B, C)"),
        ({"build": lambda: keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)])}, "build", "takes x"),
        ({"build": lambda: keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)])}, "build", "incompatible with"),
        ({"y": np.eye(3)[Y]}, "build", "loss and metrics take y"),
        ({"build": lambda: build(loss="categorical_crossentropy")}, "build", "loss and metrics take y"),
        ({"x": np.where(np.arange(6) == 5, np.nan, X)}, "x", "finite"),
        ({"x": [[1], [1, 2]]}, "x", "one array"),
        ({"x": X.astype(str)}, "x", "token ids"),
        ({"x": {"a": X[:39]}}, "x", "shape"),
        ({"epochs": 0}, "epochs", "integer"),
        ({"batch_size": 0}, "batch_size", "integer"),
        ({"augment": "weak"}, "augment", "pictures"),
        ({"queries": 2}, "queries", "pictures"),
        ({"queries": 0}, "queries", "integer"),
        ({"x": X.reshape(40, 2, 3, 1), "augment": "weak"}, "augment", "images of 2 pixels"),
        ({"x": RNG.normal(size=(40, 4, 9, 1)), "augment": "mirror", "queries": 3}, "queries", "images of 4 pixels"),
        ({"outputs": "scores"}, "outputs", "one of"),
        ({"dp": 3.2}, "dp", "PrivacyConfig"),
        ({"y": Y * 0}, "labels", "two different"),
    ],
)
def test_other_arguments_are_refused_in_one_line(changes, argument, words):
    with pytest.raises(InputError) as refused:
        mia_tf.KerasTask(**{"build": build, "x": X, "y": Y, **changes})
    line = str(refused.value)
    assert line.startswith(f"Argument `{argument}`") and words in line and "\n" not in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"between": [keras.layers.BatchNormalization(name="mixing")]}, "mixing"),
        ({"between": [keras.layers.Dense(4, kernel_regularizer="l2", name="heavy")]}, "heavy"),
        pytest.param(
            {"between": [keras.layers.Dense(4), keras.layers.PReLU(name="odd")]},
            "odd",
            marks=pytest.mark.skipif(ON_JAX, reason="JAX has the per-example gradients of any layer"),
        ),
        ({"loss": "mse"}, "cross-entropy"),
        ({"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)}, "label_smoothing"),
    ],
)
def test_what_private_training_cannot_train_is_refused_by_name(changes, words):
    with refuses("build", advice=words):
        mia_tf.KerasTask(lambda: build(**changes), X, Y, dp=mia_tf.PrivacyConfig(1.0))


def test_a_build_that_gives_the_same_model_or_optimizer_again_is_refused():
    """Each shadow model would begin with what the one before remembers."""
    one, layer, optimizer = build(), keras.layers.Dense(4), keras.optimizers.Adam()

    def with_one_optimizer():
        model = build()
        model.compile(optimizer, "sparse_categorical_crossentropy")
        return model

    for again, shared in (
        (lambda: one, "weights"),
        (lambda: build(between=[layer]), "weights"),
        (with_one_optimizer, "optimizer"),
    ):
        with pytest.raises(InputError, match=f"`build` must return a new model each time.*shares .*{shared}"):
            mia_tf.KerasTask(again, X, Y)


def test_private_models_are_trained_and_recorded_with_their_guarantee(tmp_path, capsys):
    task = mia_tf.KerasTask(build, X, Y, epochs=2, batch_size=8, dp=mia_tf.PrivacyConfig(1.0, delta=1e-3))
    shadows = mia_tf.train_shadow_models(task, num_models=2, logdir=tmp_path)
    assert len(shadows) == 2 and shadows.x is task.x
    hparams = json.loads((tmp_path / "experiment-1_2" / "hparams.json").read_text())
    assert hparams["dp"] is True and hparams["noise_multiplier"] == 1.0 and hparams["steps"] == 5
    assert f"epsilon {hparams['epsilon']:.3f} by RDP" in capsys.readouterr().err
    with pytest.raises(InputError, match="epochs"):
        changed = mia_tf.KerasTask(build, X, Y, epochs=3, batch_size=8, dp=mia_tf.PrivacyConfig(1.0, delta=1e-3))
        mia_tf.train_shadow_models(changed, num_models=2, logdir=tmp_path)


def test_numpys_integers_are_integers(tmp_path):
    for epochs, size in ((np.int64(1), np.int64(8)), (1, 8)):
        task = mia_tf.KerasTask(build, X, Y, epochs=epochs, batch_size=size)
        assert len(mia_tf.train_shadow_models(task, num_models=2, logdir=tmp_path / "run")) == 2


@pytest.mark.parametrize(
    ("settings", "dp", "argument"),
    [
        ({"batch_size": 21}, {"noise_multiplier": 1.0}, "batch_size"),
        ({"batch_size": 8}, {"target_epsilon": 1e-9}, "target_epsilon"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused_before_there_is_a_logdir(settings, dp, argument, tmp_path):
    """The LOGDIR once held its config.json by then, and refused the corrected call as another configuration."""
    task = mia_tf.KerasTask(build, X, Y, epochs=2, dp=mia_tf.PrivacyConfig(**dp), **settings)
    with refuses(argument):  # a model trains on 20 examples
        mia_tf.train_shadow_models(task, num_models=2, logdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finished_model_is_asked_as_the_shadow_models_are_and_attacked():
    task = mia_tf.KerasTask(build, X, Y, epochs=30, batch_size=8)
    shadows = mia_tf.train_shadow_models(task, num_models=4)
    model = build()
    model.fit(X[:20], Y[:20], epochs=2, verbose=0)
    answers = task.ask(model)
    powers = np.exp(answers[:, 0])
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, model.predict(X, verbose=0), atol=1e-5)
    audit = mia_tf.audit(shadows, target=answers, target_members=np.arange(40) < 20, attacks=["yeom"])
    assert audit.about["num_targets"] == 1 and audit.scores("yeom").shape == (40, 1)
    other_x = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    others = {"4 outputs": build((4, "softmax")), "Keras model": print, "takes x": other_x, "one output": two_outputs()}
    others |= {"ends as the task's models do": build((3, "relu")), "must be logits": ending_in(keras.layers.Flatten())}
    others |= {"does not make the outputs logits": build((3,), "mse")}
    for words, other in others.items():
        with refuses("model", advice=words):
            task.ask(other)
