"""The course of one model, with the losses and the predictions of a scripted engine."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from toys import make_dataset

from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.records import ModelFailure, ModelRecord
from mia_tf.training.accounting import guarantee
from mia_tf.training.course import Course

TOY = make_dataset()
KEEP = np.arange(64) < 32
CONFIG = TrainingConfig(batch=8, epochs=9, lr=0.4, warmup=0.5)  # four steps per epoch
LOGITS = np.zeros((64, 1, 1, 4), np.float32)


def never():
    pytest.fail("called although nothing is due")


def right(count):
    """Predictions of which the first `count` are right."""
    return np.where(np.arange(16) < count, TOY.test_labels, -1)


def run(config, correct, dataset=TOY, losses=None):
    """Trains for all epochs or until the course ends. In epoch e, correct[e - 1] test predictions are right."""
    course, evaluated, kept = Course(3, KEEP, 5, dataset, config), [], []
    for epoch, order in enumerate(course.orders, start=1):

        def weights(epoch=epoch):
            kept.append(epoch)
            return [np.float32(epoch)]

        def predictions(epoch=epoch):
            evaluated.append(epoch)
            return right(correct[epoch - 1])

        course.end_epoch(losses[epoch - 1] if losses else 1.0, len(order), len(order), weights, predictions)
        if not course.running:
            break
    return course, evaluated, kept


def finish(course, correct=0, **engine):
    return course.finish(LOGITS, 2.0, lambda: ["last"], lambda: right(correct), **engine)


@pytest.mark.parametrize(
    "eval_steps, patience, correct, last, running",
    [
        (1, None, [8, 7, 6, 5, 4, 3, 2, 1, 0], 9, True),
        (1, 2, [8, 7, 6, 5, 9, 9, 9, 9, 9], 4, False),  # the best is in epoch 1; epoch 4 is the third that is no better
        (1, 2, [1, 2, 2, 3, 3, 3, 3, 0, 0], 7, False),  # an equal accuracy is no better
        (1, 2, [1, 1, 1, 2, 1, 1, 3, 0, 0], 9, True),  # twice a better one comes in time
        (2, 2, [9, 5, 9, 4, 9, 4, 9, 9, 9], 6, False),  # odd epochs are not evaluated: the best is in epoch 2
        (3, 1, [0, 0, 0, 0, 0, 4, 0, 0, 4], 9, False),
    ],
)
def test_it_stops_once_patience_is_exceeded(eval_steps, patience, correct, last, running):
    config = dataclasses.replace(CONFIG, eval_steps=eval_steps, patience=patience)
    course, evaluated, _ = run(config, correct)
    assert course.epoch == last and course.running == running and course.failure is None
    assert evaluated == list(range(eval_steps, last + 1, eval_steps))
    history = finish(course).metrics["history"]
    accuracies = [entry.get("test_accuracy_all") for entry in history]
    assert accuracies == [correct[e] / 16 if (e + 1) % eval_steps == 0 else None for e in range(last)]


def test_without_test_images_nothing_is_predicted():
    dataset = make_dataset(num_test=0)
    course, evaluated, _ = run(dataclasses.replace(CONFIG, eval_steps=1, patience=2), [9] * 9, dataset)
    assert course.epoch == 4 and evaluated == []  # no accuracy is better than the first
    record = course.finish(LOGITS, 2.0, never, never)
    assert not [name for name in record.metrics if name.startswith("test")]


@pytest.mark.parametrize(
    "save_steps, keep_ckpt, epochs",
    [(0, False, []), (0, True, [9]), (4, False, [4, 8]), (4, True, [4, 8, 9]), (3, True, [3, 6, 9])],
)
def test_it_keeps_the_weights_of_the_epochs_that_are_configured(save_steps, keep_ckpt, epochs):
    config = dataclasses.replace(CONFIG, save_steps=save_steps, keep_ckpt=keep_ckpt)
    course, _, kept = run(config, [0] * 9)
    assert kept == [epoch for epoch in epochs if save_steps and epoch % save_steps == 0]
    checkpoints = finish(course).checkpoints
    assert list(checkpoints) == epochs
    for epoch, weights in checkpoints.items():
        assert weights == (["last"] if keep_ckpt and epoch == 9 else [epoch])


def test_the_record_holds_what_was_trained():
    course, _, _ = run(CONFIG, [0] * 9, losses=[4.0 * e for e in range(9)])
    record = finish(course, correct=8, backend="mine")
    assert isinstance(record, ModelRecord) and record.index == 3 and record.epoch == 9
    np.testing.assert_array_equal(record.keep, KEEP)
    assert record.hparams == {**CONFIG.to_dict(), "seed": 5}
    metrics = json.loads(json.dumps(record.metrics))
    zeros = TOY.labels == 0  # which all-zero logits predict
    assert metrics["train_accuracy_all"] == zeros[KEEP].mean() and metrics["out_accuracy_all"] == zeros[~KEEP].mean()
    assert metrics["test_accuracy_all"] == 8 / 16
    assert metrics["test_accuracy_over"] == 8 / 12 and metrics["test_accuracy_under"] == 0
    assert metrics["at_chance"] and metrics["num_members"] == 32 and metrics["steps"] == 36
    assert metrics["train_seconds"] == 2 and metrics["images_per_second"] == 36 * 8 / 2
    assert metrics["backend"] == "mine"
    assert metrics["history"] == [{"epoch": e + 1, "loss": float(e)} for e in range(9)]


def test_a_private_course_has_the_steps_and_the_promise_of_its_guarantee():
    privacy = PrivacyConfig(noise_multiplier=1.0, microbatch=4)
    config = dataclasses.replace(CONFIG, clip_norm=0.0, privacy=privacy)
    promise = guarantee(ExperimentConfig(training=config, pkeep=0.75), 64)
    course = Course(0, KEEP, 1, TOY, config, promise)
    assert course.total_steps == promise.steps == 9 * 48 // 8  # of the nominal training set, not of this one
    assert sum(len(order) for order in course.orders) == 54
    course.end_epoch(1.0, 6, 6, never, never)
    assert finish(course).hparams == {**config.to_dict(), **promise.to_dict(), "seed": 1}


def test_a_loss_that_is_not_finite_ends_the_course():
    course = Course(3, KEEP, 5, TOY, dataclasses.replace(CONFIG, eval_steps=1, save_steps=1))
    course.end_epoch(4.0, 4, 4, lambda: [], lambda: right(1))
    course.end_epoch(1.0, 3, 4, never, never)
    assert not course.running and course.epoch == 1 and course.steps == 7
    rate = 0.4 * np.cos(7 * np.pi / 16 * 7 / 36) * (7 / 36) / 0.5
    reason = f"the loss was not finite at step 8 of 36 (epoch 2), learning rate {rate:.3g}"
    assert course.failure == ModelFailure(3, reason)


def test_a_failure_names_the_epoch_that_the_step_belongs_to():
    """Five steps in two epochs: the third begins the second epoch. The ensemble engine once named the first."""
    keep = np.arange(64) < 20
    course = Course(0, keep, 5, TOY, dataclasses.replace(CONFIG, epochs=2))
    assert [len(order) for order in course.orders] == [2, 3]
    course.end_epoch(1.0, 2, 2, never, never)
    course.end_epoch(0.0, 0, 3, never, never)
    assert "at step 3 of 5 (epoch 2)," in course.failure.reason


def test_logits_that_are_not_finite_are_a_failure():
    course, _, _ = run(dataclasses.replace(CONFIG, keep_ckpt=True), [0] * 9)
    failure = course.finish(np.full_like(LOGITS, np.nan), 2.0, never, never)
    assert failure == ModelFailure(3, "its logits were not finite after step 36 of 36")


def test_it_imports_no_framework():
    command = (
        "import sys, mia_tf.training.course; print([m for m in ('keras', 'tensorflow', 'jax') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
