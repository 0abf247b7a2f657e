"""Several of a user's Keras models in training at once: each answers as if it were trained alone."""

import random

import jax
import keras
import numpy as np
import pytest

import mia_tf
from mia_tf.records import ModelFailure
from mia_tf.training import device_memory, keras_ensemble
from mia_tf.training.task_engine import TaskEngine

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6)).astype(np.float32), np.arange(40) % 3
PICTURES = RNG.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
SIZES = (16, 19, 23)  # with batches of 8: two whole ones, and others that end in 3 and 7
MEMBERS = np.array([RNG.permutation(40) < size for size in SIZES])
LOSS = "sparse_categorical_crossentropy"


def compiled(*layers):
    model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    return model


def with_dropout():
    return compiled(keras.Input((6,)), keras.layers.Dense(5, "tanh"), keras.layers.Dropout(0.3))


def with_average():
    model = with_dropout()
    model.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9), LOSS)
    return model


def with_batch_norm():
    layers = keras.layers.Flatten(), keras.layers.Rescaling(1 / 255), keras.layers.BatchNormalization()
    return compiled(keras.Input((8, 8, 1)), *layers)


def outcomes(task, size, members=MEMBERS):
    return list(TaskEngine(task, 20, size, len(members)).train(members, range(len(members))))


DP = mia_tf.PrivacyConfig(1.0, l2_norm_clip=0.3, delta=1e-3, microbatch=8)
WAYS = {
    "dropout": (with_dropout, X, {}),
    "batch norm": (with_batch_norm, PICTURES, {"augment": "weak", "queries": 2}),
    "average": (with_average, X, {}),
    "private": (with_dropout, X, {"dp": DP}),
}


@pytest.mark.parametrize("way", WAYS)
def test_models_answer_as_if_each_were_trained_alone(way):
    """With the same weights, batches, dropout, views and noise, whatever the size of the last batch."""
    build, x, settings = WAYS[way]
    task = mia_tf.KerasTask(build, x, Y, epochs=2, batch_size=8, **settings)
    at_once, alone = outcomes(task, 3), outcomes(task, 1)
    assert [record.index for record in at_once] == [0, 1, 2]
    assert [record.metrics["ensemble_size"] for record in at_once] == [3] * 3
    assert "ensemble_size" not in alone[0].metrics
    for one, other in zip(at_once, alone, strict=True):
        # A few steps in float32 on logits of order one; XLA may sum those of several models in another order.
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-5)
        np.testing.assert_array_equal(one.keep, other.keep)
    assert np.abs(alone[0].logits - alone[1].logits).max() > 0.05


def test_a_model_that_fails_does_not_harm_the_others():
    """The second cannot be built, and the loss of the third is soon infinite."""

    def build():
        drawn = random.random()  # Python's generator, which follows from the model's seed
        if drawn == draws[1]:
            raise ValueError("not this one")
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1e38 if drawn == draws[2] else 0.1), loss)
        return model

    draws = {}
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        draws[seed] = random.random()
    first, second, third = outcomes(mia_tf.KerasTask(build, X, Y, epochs=3, batch_size=8), 3)
    assert isinstance(second, ModelFailure) and "build raised ValueError: not this one" in second.reason
    assert isinstance(third, ModelFailure) and "the loss was not finite in epoch 1 of 3" in third.reason
    (alone,) = outcomes(mia_tf.KerasTask(build, X, Y, epochs=3, batch_size=8), 1, MEMBERS[:1])
    np.testing.assert_allclose(first.logits, alone.logits, atol=1e-5)


def test_an_error_of_one_model_that_answers_does_not_harm_the_others(monkeypatch):
    """It once ended the worker, and all models that had been trained with it were lost."""
    engine = TaskEngine(mia_tf.KerasTask(with_dropout, X, Y, epochs=1, batch_size=8), 20, 3, 3)
    one, queries = engine._ensemble._one, []
    answers = one.answers

    def failing(views):
        queries.append(views)
        if len(queries) == 2:
            raise MemoryError("no room")
        return answers(views)

    monkeypatch.setattr(one, "answers", failing)
    first, second, third = engine.train(MEMBERS, range(3))
    assert isinstance(second, ModelFailure) and "with_dropout raised MemoryError: no room" in second.reason
    assert (first.index, second.index, third.index) == (0, 1, 2) and len(queries) == 3
    assert not np.array_equal(first.logits, third.logits)


def test_what_cannot_be_trained_at_once_is_trained_one_at_a_time_and_a_line_says_why(capfd, monkeypatch):
    class Stepping(keras.Sequential):
        def train_step(self, state, data):
            jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((), np.float32), state[2][1] * 1.0)
            return super().train_step(state, data)

    def build():
        model = Stepping([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
        model.compile(keras.optimizers.SGD(0.1), LOSS)
        return model

    task = mia_tf.KerasTask(build, X, Y, epochs=1, batch_size=8)
    engine = TaskEngine(task, 20, 3, 3)
    assert engine.ensemble_size == 1
    assert "cannot be trained at once, so they take turns: NotImplementedError" in capfd.readouterr().err
    assert len([*engine.train(MEMBERS[:1], [0])]) == 1

    task = mia_tf.KerasTask(with_dropout, X, Y, epochs=1, batch_size=8)
    engine, ends = TaskEngine(task, 20, 3, 3), []

    def full(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(engine._ensemble._steps, "epoch", full)
    records = list(engine.train(MEMBERS, range(3), lambda: ends.append(1)))
    assert "so they take turns: MemoryError: no room" in capfd.readouterr().err
    assert [record.index for record in records] == [0, 1, 2] and len(ends) == 1


def test_on_a_cpu_small_networks_without_convolutions_train_at_once():
    task = mia_tf.KerasTask(with_dropout, X, Y, epochs=1, batch_size=8)
    assert task.ensemble(20, num_models=64).size == keras_ensemble._CPU_ENSEMBLE and task.ensemble(20, size=1) is None
    column = keras.layers.Reshape((6, 1))
    for others in ((keras.layers.Dense(9_000),), (column, keras.layers.LSTM(3)), (column, keras.layers.Conv1D(3, 2))):
        assert not keras_ensemble._is_small(keras.Sequential([keras.Input((6,)), *others]))


@pytest.mark.parametrize("dp", [None, DP])
def test_the_memory_of_more_models_is_more(dp):
    """What is compiled to choose the size of an ensemble on a GPU is what training does."""
    task = mia_tf.KerasTask(with_dropout, X, Y, epochs=1, batch_size=8, dp=dp)
    steps = task.ensemble(20, size=2)._steps
    two, eight = (max(map(device_memory._bytes, steps.lowered(count))) for count in (2, 8))
    arrays = sum(array.nbytes for array in jax.tree.leaves(steps._one.state))
    assert two + 6 * arrays <= eight < np.inf


def test_other_tasks_train_one_at_a_time():
    assert mia_tf.Task(print, labels=Y).ensemble(20, size=4) is None
