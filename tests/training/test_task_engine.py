"""The engine of a user's task, whatever the user's function does."""

import importlib

import numpy as np
import pytest
import task_files
from refusals import refuses

from mia_tf.records import ModelFailure, ModelRecord
from mia_tf.task import Task
from mia_tf.task_packing import packed
from mia_tf.training.task_engine import TaskEngine, start_task_engine

LABELS = np.arange(12) % 2
MEMBERS = np.arange(36).reshape(3, 12) % 5 < 3


class Unreadable:
    """An array that another device holds, say."""

    def __array__(self, *_, **__):
        raise RuntimeError("call .cpu() first\nand a second line")


def train(function, seeds=(5, 6, 7), **settings):
    return list(TaskEngine(Task(function, labels=LABELS, **settings), 3).train(MEMBERS, seeds))


def test_the_function_gets_each_model_s_rows_and_seed_and_its_answers_are_recorded():
    given = []

    def function(rows, seed):
        given.append((rows.copy(), seed))
        rows[:] = 0  # its own copy
        return np.arange(24).reshape(12, 2) - seed

    records = train(function, np.array([5, 6, 7]))
    for index, (record, (rows, seed)) in enumerate(zip(records, given, strict=True)):
        assert isinstance(record, ModelRecord) and record.index == index
        np.testing.assert_array_equal(rows, np.flatnonzero(MEMBERS[index]))
        assert rows.dtype == np.int64 and type(seed) is int and seed == record.hparams["seed"] == 5 + index
        np.testing.assert_array_equal(record.keep, MEMBERS[index])
        np.testing.assert_array_equal(record.logits[:, 0, 0], np.arange(24).reshape(12, 2) - seed)
        assert record.metrics["num_members"] == MEMBERS[index].sum()
        assert record.metrics["train_accuracy_all"] == LABELS[MEMBERS[index]].mean()  # it answers 1 throughout
    assert len({record.metrics["answers_digest"] for record in records}) == 3


@pytest.mark.parametrize(
    ("outputs", "returned"),
    [
        ("logits", np.eye(2)[LABELS] * 3),
        ("probabilities", np.eye(2)[LABELS]),
        ("probabilities", LABELS.astype(float)),
        ("sigmoid", LABELS * 4.0 - 2),
    ],
)
def test_accuracy_is_that_of_the_classes_whatever_the_outputs_are(outputs, returned):
    for record in train(lambda rows, seed: returned, outputs=outputs, groups=np.repeat(["x", "y", "z"], 4)):
        names = {"all", "x", "y", "z"}
        accuracies = {name: value for name, value in record.metrics.items() if "_accuracy_" in name}
        assert set(accuracies.values()) == {1.0}
        assert set(accuracies) <= {f"{side}_accuracy_{name}" for side in ("train", "out") for name in names}
        assert "train_accuracy_z" in accuracies
        np.testing.assert_array_equal(record.logits.reshape(np.shape(returned)), returned)  # as it stands


def test_a_model_that_fails_is_named_and_the_others_go_on():
    def function(rows, seed):
        if seed == 6:
            return Unreadable()
        return np.zeros((12, seed - 4, 2)) - seed  # one query, then three

    first, second, third = train(function)
    assert isinstance(first, ModelRecord)
    unusable = "test_task_engine.function returned answers that cannot be used: "
    allowed = "Argument `train_and_predict`: the answers must be an array that NumPy can read"
    received = "a Unreadable, which raised RuntimeError: call .cpu() first"
    assert second == ModelFailure(1, f"{unusable}{allowed}. Received: {received}")
    assert third.reason == (
        f"{unusable}Argument `train_and_predict`: the answers must have the shape of the models before, (12, 1, 2). "
        "Received: shape (12, 3, 2)"
    )


def test_the_end_of_each_model_is_told_once_it_may_be_stored():
    """It was once told before: a model was lost if its command had died meanwhile, so that nobody could be told."""
    ends = []
    engine = TaskEngine(Task(lambda rows, seed: 1 / 0, labels=LABELS), 3)
    outcomes = engine.train(MEMBERS, [1, 2, 3], lambda: ends.append(1))
    assert [next(outcomes).index, len(ends), next(outcomes).index, len(ends)] == [0, 0, 1, 1]


def test_a_task_that_cannot_be_had_is_refused_in_one_line():
    task = Task(print, labels=LABELS)

    def gone():
        raise ModuleNotFoundError("No module named 'my_package'")

    with refuses("task"):
        start_task_engine(task.examples(), gone, task.identity(), 3)
    other = Task(print, labels=1 - LABELS)
    with refuses("task"):
        start_task_engine(task.examples(), lambda: other, task.identity(), 3)
    with refuses("task"):
        start_task_engine(task.examples(), lambda: task, Task(print, labels=LABELS, groups=LABELS).identity(), 3)


def test_a_worker_that_starts_after_the_file_has_changed_is_refused(tmp_path, monkeypatch):
    path = task_files.write(tmp_path, "edited_later", task_files.NOISE)
    monkeypatch.syspath_prepend(tmp_path)
    task = importlib.import_module("edited_later").task
    identity, source = task.identity(), packed(task)
    start_task_engine(task.examples(), source, identity, 3)
    path.write_text(task_files.NOISE.replace("normal", "uniform"))
    with refuses("task", "edited_later.train_and_predict", "it differs in task_digest"):
        start_task_engine(task.examples(), source, identity, 3)
