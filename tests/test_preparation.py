"""What is settled before anything trains."""

import numpy as np
import pytest
from refusals import refuses
from toys import make_dataset

import mia_tf
from mia_tf import preparation, subsets
from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.preparation import answers_bytes, check_disk, check_fits, logits_bytes, model_bytes
from mia_tf.validation import InputError


def test_the_plan_is_drawn_only_if_the_batch_is_near_the_size_of_a_training_set(monkeypatch):
    drawn, membership = [], subsets.membership
    monkeypatch.setattr(subsets, "membership", lambda *plan: drawn.append(plan) or membership(*plan))
    dataset = make_dataset(num_over=600, num_under=0)  # models have 300 examples, with a deviation of 12

    def check(batch):
        training = TrainingConfig(arch="cnn2-1-max", batch=batch)
        check_fits(ExperimentConfig(num_experiments=8, training=training), dataset)

    check(64)
    assert not drawn
    check(256)
    assert len(drawn) == 1
    with pytest.raises(
        InputError, match=r"`batch` must not exceed the smallest model's training set of 2\d\d examples"
    ):
        check(300)


def test_the_disk_must_hold_the_answers_to_all_queries_of_a_keras_task():
    import keras

    def build():
        layers = keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")
        model = keras.Sequential(layers)
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    task = mia_tf.KerasTask(build, np.zeros((40, 8, 8, 1), np.float32), np.arange(40) % 2, epochs=1, queries=3)
    assert answers_bytes(task) == task.answers(task.train_and_predict(np.arange(20), 0)).nbytes == 40 * 3 * 2 * 4
    assert answers_bytes(mia_tf.Task(print, labels=np.arange(40) % 2)) == 40 * 2 * 4


def kept(dataset, **training):
    """Bytes of one model beside its logits."""
    config = ExperimentConfig(num_experiments=8, training=TrainingConfig(arch="cnn2-1-max", epochs=7, **training))
    return model_bytes(dataset, config) - logits_bytes(dataset, config)


def test_the_disk_must_hold_the_weights_that_are_kept(monkeypatch, tmp_path):
    """Only logits were counted: thousands of checkpoints filled the disk after days."""
    monkeypatch.setattr(preparation, "_elsewhere", lambda work, training, dataset: 1000)
    dataset = make_dataset()
    assert [kept(dataset, save_steps=steps) for steps in (0, 3, 7, 8)] == [0, 8000, 4000, 0]
    assert [kept(dataset, save_steps=steps, keep_ckpt=True) for steps in (0, 3, 7)] == [4000, 12000, 4000]
    with refuses("logdir", advice="MB free for 1000000000 models"):
        check_disk(tmp_path, kept(dataset, keep_ckpt=True), 10**9)


@pytest.mark.slow
def test_weights_are_counted_in_another_process():
    from mia_tf import models

    dataset = make_dataset()
    model = models.build("cnn2-1-max", dataset.images.shape[1:], dataset.num_classes, seed=3)
    assert kept(dataset, keep_ckpt=True) == sum(weights.nbytes for weights in model.get_weights())
